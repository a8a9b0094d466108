// Documentation made from the tables: one function a form, and what they share.
#pragma once

#include "cmd/command.h"

struct input_driver;

// "gtap price add NAME USD_PER_HOUR [options]"
void docs_usage(struct buf *b, const struct command *c);
// Whether the i-th command is the first of its name's section ("price list" of "price ...").
bool docs_first_of_section(size_t i);
// All environment variables of an option, separated by ", "; nothing where it has none.
void docs_env(struct buf *b, const struct command *c, const struct option *o, struct arena *a);
// Whether two neighbours in the list of inputs have one table of options. next: NULL for none.
bool docs_shares_options(const struct input_driver *d, const struct input_driver *next);

void docs_markdown(struct buf *b, struct arena *a);
void docs_man(struct buf *b, struct arena *a);
void docs_bash(struct buf *b, struct arena *a);
void docs_zsh(struct buf *b, struct arena *a);
void docs_fish(struct buf *b, struct arena *a);
