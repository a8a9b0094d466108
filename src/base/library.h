// Shared libraries that are loaded when they are first needed, so that a command pays for none that
// it does not use: neither memory, nor time, nor an installed package.
//
// Their functions are listed once, by a macro over names, from which come the table of pointers,
// whose types are those that the library's header declares, and the names to look up:
//
//   #define ZOO_FUNCTIONS(X) X(zoo_open) X(zoo_close)
//   struct zoo_lib { ZOO_FUNCTIONS(LIBRARY_MEMBER) };
//   extern struct zoo_lib zoo_lib;
//   #define zoo_open zoo_lib.zoo_open
//   #define zoo_close zoo_lib.zoo_close
//
// What is not in the list, or has no #define, does not link or compile. The .c file has
//
//   static const char *const names[] = {ZOO_FUNCTIONS(LIBRARY_NAME)};
//   static struct library library = LIBRARY("libzoo.so.1", "libzoo1", names, zoo_lib, NULL);
//
// and zoo_lib itself, and a function that calls library_load(&library, err) before the first use.
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "base/error.h"

#define LIBRARY_MEMBER(f) __typeof__(f) *f;
#define LIBRARY_NAME(f) #f,

struct library {
    const char *soname;
    const char *package;      // the Debian package that has it, for people
    const char *const *names; // n functions
    void *table;              // a struct of n pointers to functions, in the order of names
    size_t n, table_bytes;
    void (*begin)(void); // called once, with the table filled; NULL: nothing
    pthread_mutex_t lock;
    bool loaded;
};

#define LIBRARY(soname_, package_, names_, table_, begin_)                                         \
    {                                                                                              \
        .soname = (soname_), .package = (package_), .names = (names_), .table = &(table_),         \
        .n = sizeof(names_) / sizeof((names_)[0]), .table_bytes = sizeof(table_),                  \
        .begin = (begin_), .lock = PTHREAD_MUTEX_INITIALIZER                                       \
    }

// Loads it, unless it is, and fills the table; it stays loaded. Every function is looked up before
// the first is called. -EOPNOTSUPP with a message that names the package: it is not there, cannot
// be loaded, or lacks a function; asking again tries again. Thread-safe; a thread that has called
// this may use the table.
int library_load(struct library *l, struct error *err) GTAP_CHECK;
