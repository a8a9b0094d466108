// `gtap top`: a source before a person. All of it but what the command line says.
#pragma once

#include "top/source.h"
#include "top/state.h"

struct top_config {
    struct top_source *source; // taken over, whatever comes of it
    struct top_state state;    // what is shown first
    const struct zone *zone;
    int64_t at;        // as if it were this time; INT64_MIN: now
    int64_t delay_ns;  // between two looks
    const char *store; // how commands that are advised name the store; may be NULL
    bool color;
    int stop_fd; // readable: leave
    const struct clock *clock;
};

// On a terminal, until somebody leaves. -EOPNOTSUPP when this terminal cannot show it (the source
// is closed then, too).
int top_interactive(const struct top_config *c, struct error *err) GTAP_CHECK;

enum top_print { TOP_PRINT_TEXT, TOP_PRINT_JSON };

// One frame, as lines or as one JSON object. wait_ns: how long a source that has just begun has to
// bring something. width 0: as many columns as it takes so that nothing is cut.
int top_once(const struct top_config *c, enum top_print print, size_t width, int64_t wait_ns,
             struct buf *b, struct error *err) GTAP_CHECK;

// A model as JSON: money in nano-USD, unknown is null.
void top_json(const struct top_model *m, struct buf *b);
