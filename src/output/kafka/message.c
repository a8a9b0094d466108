#include <string.h>

#include "model/encode.h"
#include "output/kafka/kafka.h"

// What stands before the key and the value.
struct preamble {
    uint8_t version, kind;
    uint8_t has_key, unused;
    uint32_t key_length;
};
enum { VERSION = 1 };

void message_put(const struct record *r, struct buf *text)
{
    struct str host = record_host(r);
    struct preamble p = {
        .version = VERSION,
        .kind = (uint8_t)r->kind,
        .has_key = str_present(host),
        .key_length = (uint32_t)host.n,
    };
    buf_add(text, &p, sizeof(p));
    buf_str(text, host);
    record_encode(text, r);
}

bool message_read(struct str payload, struct message *ret)
{
    struct preamble p;
    if (payload.n < sizeof(p)) {
        return false;
    }
    memcpy(&p, payload.p, sizeof(p));
    if (p.version != VERSION || p.kind > RECORD_USAGE || p.key_length > payload.n - sizeof(p)) {
        return false;
    }
    const char *key = payload.p + sizeof(p);
    *ret = (struct message){
        .kind = (enum record_kind)p.kind,
        .payload = payload,
        .key = p.has_key ? (struct str){key, p.key_length} : STR_NONE,
        .value = {key + p.key_length, payload.n - sizeof(p) - p.key_length},
    };
    return true;
}
