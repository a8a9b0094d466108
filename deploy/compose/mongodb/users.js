// The user that gtap's processors are: readWrite on its database and nothing else. Repeats itself
// harmlessly, and sets the password to what the secret says now.
const fs = require('fs');

const ours = db.getSiblingDB(process.env.MONGO_INITDB_DATABASE || 'ca0');
const user = {
  pwd: fs.readFileSync((process.env.GTAP_SECRETS_DIR || '/run/secrets') + '/mongodb_gtap_password', 'utf8').trimEnd(),
  roles: [{role: 'readWrite', db: ours.getName()}],
};
if (ours.getUser('gtap')) {
  ours.updateUser('gtap', user);
} else {
  ours.createUser({user: 'gtap', ...user});
}
print(`user gtap of the database ${ours.getName()}`);
