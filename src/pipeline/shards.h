// Who computes what. Each shard has one engine, in one process. Of ordinary inputs a run takes all
// shards when it begins; an input that owns shards for a time (input_info.n_shards > 0) says when
// they come and go, and then its meter
//   - comes to rest: what was read before is stored, what was found is written;
//   - takes shards in the store, which shuts the former owner out, and makes their engines from
//     what is stored (pipeline/rebuild.h). The engine of a shard that was left in order is kept
//     ("parked") until the next shards come, and goes on if nobody else has had the shard;
//   - or leaves them, or drops those that others may have already.
// A shard that the store says is lost has no engine; its records are still stored, whoever computes
// with them. If the input still says that it is ours it is taken again after a while.
//
// A former owner that has not noticed yet may still write, raw records at any time and computed
// rows of the commit that it was in. So
//   - a record that turns out to be stored already, under a number that a former owner gave it
//   after
//     others had read all there was (a gap, pipeline/seen.h), is fed to the engine. The state keeps
//     the gaps, so that also the next owner looks into them;
//   - time that the former owner may have been writing (what was not settled, and from the frontier
//     on) is noted as not settled, and compared with the records once it is final here and a minute
//     has passed.
#pragma once

#include "base/map.h"
#include "cost/ranges.h"
#include "pipeline/parcel.h"

struct meter;

struct shard {
    struct engine *engine; // NULL: not computed here
    struct engine *parked; // of one that was left
    struct shard_state state;
    bool ours;               // the input says so
    struct mono retake;      // when to take one again that was lost
    struct map adopted[2];   // seqs in the gaps of its state that came to light
    struct ranges audit;     // see above
    int64_t audit_end;       // of all that was ever in it; INT64_MIN: nothing
    struct mono audit_at;    // when it may begin
    bool state_due, touched; // the state must be written; it would say something new
    // Of an input that owns shards: feeds.c.
    int64_t newest[2]; // event time taken in since it was taken, by kind
    struct mono fed[2];
    size_t coming[2]; // records read and not yet back from the writer
    int64_t watermark, advanced_to;
};

// Engines that computed rows on their way to the store still borrow texts from.
struct buried {
    struct engine *engine;
    uint64_t until; // this many parcels are back from the writer
};

// At the beginning. Sources are open.
int shards_open(struct meter *m) GTAP_CHECK;
void shards_close(struct meter *m);

// What a batch of an input says. The meter is at rest, unless shards are lost.
int shards_change(struct meter *m, const struct batch *b) GTAP_CHECK;
// Others have it. Its engine goes.
void shards_lose(struct meter *m, uint32_t shard);
// Takes those again that were lost and are due; *ret: whether there are any.
bool shards_retake_due(const struct meter *m);
int shards_retake(struct meter *m) GTAP_CHECK;

// Whether the engine has to be fed with a record that was stored before.
bool shards_adopt(struct meter *m, struct shard *s, const struct record *r);
void shards_audit(struct meter *m, bool all); // notes as dirty what is due, or all that is final
void shards_bury(struct meter *m);            // frees engines that nothing borrows from any more

// Adds states that say something new to the outbox: all of them, or those that are due.
void shards_add_states(struct meter *m, bool all);
void shards_add_state(struct outbox *o, struct shard *s);
