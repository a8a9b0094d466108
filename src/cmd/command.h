// A command is one file that ends in one const struct, and one line in commands[]. Its options are
// a table; see option.h.
//
// To add one: copy version.c, fill the struct in, add it to commands.c and meson.build, and run
// `gtap docs markdown > docs/commands.md`.
#pragma once

#include <stdio.h>

#include "base/time.h"
#include "cmd/config_file.h"
#include "cmd/option.h"

// What the exit status says. 0 is fine.
enum { EXIT_ANSWER_NO = 1, EXIT_WRONG_USAGE = 2, EXIT_COULD_NOT = 3 };

// Options that every command has: the first member of each command's options.
struct common {
    const char *config;
    int color; // COLOR_*
};
enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct terminal {
    bool is_terminal, color;
    size_t width; // columns; 0: no terminal, or one that does not say
};

// Where the value of an option came from.
enum origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_COMMAND_LINE };

struct given {
    enum origin origin;
    const char *where;      // "/etc/gtap/gtap.conf:12", "GTAP_STORE", "--store"; NULL: the default
    struct text_list texts; // as typed; none: absent
};

// What a command works with: all of the outside world that it touches.
struct cli {
    FILE *out, *err; // the answer; the rest
    const char *(*getenv)(const char *name);
    const struct clock *clock;
    struct arena arena; // lives as long as the command
    struct terminal out_terminal, err_terminal;
    const struct command *command;
    const char **args; // what is no option
    size_t n_args;
    bool wants_help;
    struct config_file file;
    struct given *given; // by option_at()
};

struct command {
    const char *name;             // "report", "price add"
    const char *args;             // "NAME USD_PER_HOUR", "" for none
    const char *const *choices;   // what the first argument can be, ends with NULL; NULL: anything
    const char *summary;          // one line, no full stop
    const char *about;            // paragraphs, for help and documentation; may be NULL
    const char *examples;         // lines "command # what for"; may be NULL
    const struct option *options; // ends with name NULL; may be NULL
    size_t size;                  // of the options' struct, which starts with struct common
    size_t least_args, most_args;
    // Returns an exit status. options: the struct, filled.
    int (*run)(struct cli *cli, const void *options);
};

extern const struct command *const commands[]; // NULL-terminated, in the order of help
extern const struct option common_options[];

// The i-th option of a command, its own first, then the common ones; NULL after the last.
const struct option *option_at(const struct command *c, size_t i);
size_t option_count(const struct command *c);
const struct given *option_given(const struct cli *cli, const char *name);

// The section of the configuration file that a command reads beside [gtap]: its first word.
struct str command_section(const struct command *c);

#define STORE_KEY "store"
#define STORE_DEFAULT "sqlite:gtap.db"
