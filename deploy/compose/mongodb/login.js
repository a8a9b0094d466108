// The user that gtap's processors are, in the database that they have: `db` is that one afterwards.
db = db.getSiblingDB(process.env.MONGO_INITDB_DATABASE || 'ca0');
db.auth('gtap', require('fs').readFileSync(
  (process.env.GTAP_SECRETS_DIR || '/run/secrets') + '/mongodb_gtap_password', 'utf8').trimEnd());
