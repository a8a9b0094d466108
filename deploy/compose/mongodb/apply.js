// Users and indexes again, as root: see apply.sh and health.sh.
const secret = require('fs').readFileSync((process.env.GTAP_SECRETS_DIR || '/run/secrets') + '/mongodb_root_password', 'utf8').trimEnd();

db.getSiblingDB('admin').auth('root', secret);
load(__dirname + '/users.js');
load(__dirname + '/indexes.js');
