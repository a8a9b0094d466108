// What the tests of the SQLite store alone share: its file, and what happens to it.
#pragma once

#include <sqlite3.h>

#include "fixture.h"

// "<folder>/t.db", what the fixture's store is in, and others beside it. Owned by the fixture.
char *path_in(struct fixture *f, const char *name);
char *uri_in(struct fixture *f, const char *name);

void write_file(const char *path, const void *bytes, size_t n);
struct buf read_file(const char *path); // empty when it is not there; the caller frees it
void copy_file(const char *from, const char *to);
int64_t file_size(const char *path); // -1: it is not there

// Runs SQL on a file by a connection of its own.
void run_sql(const char *path, const char *sql);

// A store with a bit of everything in it; the same for the same number.
void fill(struct fixture *f, int writes);
