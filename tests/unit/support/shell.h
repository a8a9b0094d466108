// One fake mongod that is asked in JSON, as in a shell, for all tests of a program: database "db",
// collection "c", emptied before each test.
#pragma once

#include "harness.h" // the driver's headers before base/macros.h

extern struct fake fake;
extern mongoc_client_t *client;
extern mongoc_collection_t *coll;

void insert_json(const char *json);
// The answer as JSON; fails the test where it is an error, unless it may be.
char *command(const char *json, bool may_fail);
// The documents of a query, one after the other, as JSON.
char *found(const char *filter, const char *opts);

int shell_begin(void **state);
#define AFRESH(f) TEST_WITH(f, shell_begin, NULL)

// main() of such a program, whose argument is the fake mongod: calls run, which runs the tests.
int shell_run(int argc, char **argv,
              int (*run)(CMFixtureFunction set_up, CMFixtureFunction tear_down));
