// The configuration file: INI, as inih reads it. `[section]` names a command, or gtap for all.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

#define CONFIG_PATH_DEFAULT "/etc/gtap/gtap.conf"

enum { CONFIG_BYTES_MAX = 1 << 20, CONFIG_LINE_MAX = 8192 };

// As they stand in the file, trimmed; line counts from 1.
struct config_entry {
    const char *section, *key, *value;
    int line;
};

struct config_file {
    const char *path; // as messages name it
    bool present;
    const struct config_entry *entries; // in the order of the file
    size_t n;
};

// Everything is owned by the arena. -EINVAL "PATH:LINE: what is wrong". Changes inih's process-wide
// limits, so it belongs to the main thread.
int config_parse(struct str text, const char *path, struct arena *a, struct config_file *ret,
                 struct error *err) GTAP_CHECK;

// Reads the file. One that is not there is empty unless `required`.
int config_read(const char *path, bool required, struct arena *a, struct config_file *ret,
                struct error *err) GTAP_CHECK;
