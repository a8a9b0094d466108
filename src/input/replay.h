// What trace: and synthetic: have in common: arrivals go through a simulated cluster (serve.h) and
// come out as records, in order of event time, numbered, and paced when wanted.
#pragma once

#include "base/intern.h"
#include "input/fleet.h"
#include "input/input_impl.h"
#include "input/origin.h"
#include "input/pace.h"
#include "input/serve.h"

enum replay_arrival { ARRIVAL_END, ARRIVAL_TAKEN, ARRIVAL_REFUSED };

// A request as its record will name it.
struct replay_request {
    struct serve_request serve; // all but the tag
    uint32_t model, tenant;     // ids in `names`; REPLAY_NAME_NONE: no tenant
};

#define REPLAY_NAME_NONE UINT32_MAX

struct replay;

// What feeds it: the next request (TAKEN; in order of arrival), or a dead letter given to
// replay_refuse(), or the end, or a negative errno with a message.
typedef int replay_source(void *ctx, struct replay *r, struct batch *b, struct replay_request *ret,
                          struct error *err);

struct replay {
    struct input *in;
    struct fleet fleet;
    struct pace pace;
    struct serve *serve;
    struct serve_speed *speeds; // of the models
    struct serve_place *places;
    uint32_t n_places;
    struct intern *names;
    const char *source_name; // "trace": field source of the samples
    struct origin origin;
    int64_t position; // records and dead letters delivered
    int64_t at_least; // event time until which GPUs are sampled
    int64_t now;      // wall time of the batch being made
    replay_source *next;
    void *ctx;
    struct replay_request pending;
    bool has_pending, ended;
};

// input_next() and input_seek() of such an input.
int replay_next(struct replay *r, struct batch *b, struct error *err) GTAP_CHECK;
int replay_seek(struct replay *r, int64_t records, struct error *err) GTAP_CHECK;
void replay_done(struct replay *r);

// A dead letter at the next position. reason and payload are copied.
void replay_refuse(struct replay *r, struct batch *b, struct str reason, struct str payload);
