#include "output/refusal.h"

#include "model/encode.h"

// What identifies a record whose place nobody keeps is its id: the same letter is written however
// often it is read.
static struct str origin_of(const struct store_record *sr, struct buf *room)
{
    size_t before = room->n;
    if (str_present(sr->origin)) {
        return sr->origin;
    }
    buf_cstr(room, "event_id:");
    buf_str(room, sr->record->event_id);
    struct str all = buf_view(room);
    return (struct str){all.p + before, all.n - before};
}

struct dead_letter refusal_letter(const struct store_record *sr, int64_t now, struct buf *room)
{
    static const char *const reasons[] = {
        [STORE_CONFLICT] = "conflict: another record with this event_id is stored, and stays",
        [STORE_EXPIRED] = "too late: the records of its time were expired",
        [STORE_REFUSED] = "the store does not take it",
    };
    bool told = sr->verdict == STORE_REFUSED && str_present(sr->reason);
    buf_init(room, 2 * (size_t)RECORD_BYTES_MAX);
    if (sr->payload == NULL) {
        record_encode(room, sr->record);
    }
    size_t encoded = room->n;
    struct str origin = origin_of(sr, room); // which may move what is in the room
    struct str text =
        sr->payload ? (struct str){sr->payload, sr->payload_n} : (struct str){room->p, encoded};
    text.n = MIN(text.n, (size_t)RECORD_BYTES_MAX);
    return (struct dead_letter){
        .at = now,
        .origin = origin,
        .position = str_present(sr->origin) ? sr->record->position : 0,
        .reason = told ? sr->reason : str_of(reasons[sr->verdict]),
        .payload = text,
    };
}
