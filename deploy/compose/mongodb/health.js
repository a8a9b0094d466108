// As the user that gtap's processors are: that it is there, may log in, and gets answers.
const secret = require('fs').readFileSync((process.env.GTAP_SECRETS_DIR || '/run/secrets') + '/mongodb_gtap_password', 'utf8').trimEnd();
const database = db.getSiblingDB(process.env.MONGO_INITDB_DATABASE || 'ca0');

database.auth('gtap', secret);
if (database.runCommand({ping: 1}).ok !== 1) {
  throw new Error('no answer to ping');
}
