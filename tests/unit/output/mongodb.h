// The server that tests on MongoDB use, and their databases in it.
#pragma once

// The server's URI with this database in it, malloc'ed. Fails the test when
// GTAP_TEST_MONGODB_URI is not set.
char *mongodb_uri(const char *database);

// Removes the database that the URI names.
void mongodb_drop(const char *uri);

// Runs a command, given as JSON, in the database of the URI. Its answer as JSON, malloc'ed.
char *mongodb_command(const char *uri, const char *json);
