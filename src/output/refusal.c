#include "output/refusal.h"

#include "model/encode.h"

// A record does not say which input it came from; it is known when the write has only one.
static struct str origin_of(const struct store_write *w)
{
    for (size_t i = 1; i < w->n_positions; i++) {
        if (!str_eq(w->positions[i].input, w->positions[0].input)) {
            return STR_NONE;
        }
    }
    return w->n_positions > 0 ? w->positions[0].input : STR_NONE;
}

struct dead_letter refusal_letter(const struct store_write *w, const struct store_record *sr,
                                  int64_t now, struct buf *payload)
{
    static const char *const reasons[] = {
        [STORE_CONFLICT] = "conflict: another record with this event_id is stored, and stays",
        [STORE_EXPIRED] = "too late: the records of its time were expired",
        [STORE_REFUSED] = "the store does not take it",
    };
    bool told = sr->verdict == STORE_REFUSED && str_present(sr->reason);
    struct str text = {sr->payload, sr->payload_n};
    buf_init(payload, 2 * (size_t)RECORD_BYTES_MAX);
    if (sr->payload == NULL) {
        record_encode(payload, sr->record);
        text = buf_view(payload);
    }
    text.n = MIN(text.n, (size_t)RECORD_BYTES_MAX);
    return (struct dead_letter){
        .at = now,
        .origin = origin_of(w),
        .position = sr->record->position,
        .reason = told ? sr->reason : str_of(reasons[sr->verdict]),
        .payload = text,
    };
}
