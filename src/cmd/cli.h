// From main() to a command and back, and how commands speak: the answer on cli->out, everything
// else on cli->err. Only what stands in src/cmd prints failures.
#pragma once

#include "cmd/command.h"
#include "output/store.h"

// Runs the command that argv names and returns its exit status. `cli` has its files, getenv and
// clock set; everything else is zero.
int cli_main(struct cli *cli, int argc, char *const *argv);

// The command of these words ("price add", "report"), and how many of them name it; NULL: none.
const struct command *command_find(const char *const *words, size_t n, size_t *ret_used);
// Whether `word` is what several commands begin with ("price").
bool command_is_group(const char *word);
// "unknown command 'prise lst'" and what is near to it; EXIT_WRONG_USAGE.
int cli_unknown_command(struct cli *cli, const char *const *words, size_t n);

// "gtap: what failed", then the exit status that says so: EXIT_WRONG_USAGE for -EINVAL, else
// EXIT_COULD_NOT.
int cli_fail(struct cli *cli, const struct error *err);
// "gtap: what is wrong" and where help is; EXIT_WRONG_USAGE.
int cli_misuse(struct cli *cli, const char *fmt, ...) GTAP_PRINTF(2, 3);
// A further line under a failure: what is safe, what to do.
void cli_advise(struct cli *cli, const char *fmt, ...) GTAP_PRINTF(2, 3);

// "gtap: text": nothing failed, but somebody should know.
void cli_note(struct cli *cli, const char *text);

// Prints the text and frees the buffer. A buffer that failed says so; 0 or an exit status.
int cli_print(struct cli *cli, struct buf *b);

// Opens a store: 0, or the exit status after saying why not.
int cli_open(struct cli *cli, const char *uri, enum store_access access, struct store **ret);
// As cli_fail, for a store that could not be opened so: says what to do, too.
int cli_fail_store(struct cli *cli, enum store_access access, const struct error *err);
// How a further command names the store that this one was told to use: " --store 'URI'", without
// secrets, or "" when it finds the store by itself.
const char *cli_store_words(struct cli *cli, const char *uri);

DEFINE_CLEANUP(struct store *, store_close);
#define AUTO_STORE GTAP_CLEANUP(store_closep)

// Wall time.
static inline int64_t cli_now(const struct cli *cli)
{
    return clock_wall(cli->clock);
}

// A line of progress that overwrites itself; nothing when stderr is no terminal. NULL removes it.
void cli_progress(struct cli *cli, const char *line);

// The options' zone: "UTC", "local", "+02:00" or a name such as Europe/Berlin. Sets TZ for names,
// so once a process. 0 or an exit status.
int cli_zone(struct cli *cli, const char *text, struct zone *ret);

// help.c
void help_all(struct buf *b);
void help_group(struct str section, struct buf *b);
void help_command(struct cli *cli, const struct command *c, struct buf *b);
