// From words, environment, file and defaults to a command's options.
#pragma once

#include "cmd/command.h"

// Fills `values` (the command's struct, zeroed) and cli->args, wants_help, file and given. words:
// the command line after the command's name. -EINVAL with a message that names the place for what
// is wrong usage; other errors when the configuration file cannot be read.
int resolve(struct cli *cli, const struct command *command, const char *const *words, size_t n,
            void *values, struct error *err) GTAP_CHECK;
