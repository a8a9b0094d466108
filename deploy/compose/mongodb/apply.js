// Users and indexes again, as root: see apply.sh.
const secret = require('fs').readFileSync('/run/secrets/mongodb_root_password', 'utf8').trimEnd();

db.getSiblingDB('admin').auth('root', secret);
load('/gtap/mongodb/users.js');
load('/gtap/mongodb/indexes.js');
