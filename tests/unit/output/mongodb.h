// The server that tests on MongoDB use, and their databases in it.
#pragma once

// The server's URI with this database in it, malloc'ed. Fails the test when
// GTAP_TEST_MONGODB_URI is not set.
char *mongodb_uri(const char *database);

// Removes the database that the URI names.
void mongodb_drop(const char *uri);

// Runs a command, given as JSON, in the database of the URI, or in `admin`. Its answer as JSON,
// malloc'ed; NULL when it failed.
char *mongodb_command(const char *uri, const char *json);
char *mongodb_admin(const char *uri, const char *json);

// The same, and it must succeed; nobody wants the answer.
void mongodb_do(const char *uri, const char *json);

// The next command of this name fails, `data` being JSON members as in "\"errorCode\": 91" (the
// server's configureFailPoint, failCommand). Skips the test where the server does not let it.
void mongodb_fail_next(const char *uri, const char *command, const char *data);
void mongodb_fail_no_more(const char *uri);
