// The documents of a fake server, by collection and _id.
//
// How much is remembered is chosen once, for all collections or for some while the others keep
// whole documents: those, a 64-bit hash of each _id (two ids of 22 million meet with a chance of
// one in 70,000), or nothing. Not thread-safe.
//
// A table of hashes is made anew, twice as large, when it is full: for 12 million ids that is a
// second or more in which nothing else is done, and the larger it is, the more of its accesses miss
// caches. Where the cost of a record must stay what it is, `expected` makes it as large as it will
// be at once.
#pragma once

#include "base/map.h"
#include "doc.h"
#include "order.h"

enum memory {
    MEMORY_KEEP,   // whole documents
    MEMORY_IDS,    // hashes of ids
    MEMORY_FORGET, // nothing: every insert is new, every update finds what it wants
};

struct kept {
    struct kept *prev, *next; // in the order they came
    struct kept *chain;       // with the same hash
    uint64_t hash;
    uint8_t *bytes;
    uint32_t n;
    int part; // of coll.parts, or -1
    unsigned height;
    struct kept *after[]; // by _id, on so many levels; then the same within its part
};

struct index {
    char *name;
    uint8_t *spec; // the document of createIndexes
    struct index *next;
};

enum { PARTS = 64 };

struct coll {
    char *ns; // "database.collection"
    enum memory memory;
    struct coll *next;
    struct index *indexes; // those that createIndexes made: known by name, not enforced
    uint64_t count;        // documents that are there, or were inserted and not deleted
    struct map by_id;      // MEMORY_KEEP: hash to the first of a chain
    struct order order;    // of the same
    // As in an index on {partition, _id}: the documents whose `partition` is a number below PARTS,
    // while all are such. Without it, each shard's rows are looked for among those of all.
    struct order parts[PARTS];
    uint64_t n_partless;
    struct kept *first, *last;
    uint64_t *ids; // MEMORY_IDS: open addressing, 0 is free
    size_t n_ids, cap_ids;
};

struct docs {
    enum memory memory;
    const char *of;            // collections ("a,b", in any database) that this is about; NULL: all
    uint64_t bytes, bytes_max; // of documents that are kept
    size_t expected;           // ids that a collection has room for from the beginning
    struct coll *colls;
};

void docs_done(struct docs *d); // drops everything; may be used again

struct coll *docs_find(struct docs *d, struct str ns); // NULL: no such collection
struct coll *docs_coll(struct docs *d, struct str ns); // made where missing
void docs_drop(struct docs *d, struct coll *c);

static inline struct doc kept_doc(const struct kept *k)
{
    return (struct doc){k->bytes, k->n};
}

// By _id. The pointer is good until the document is changed or removed.
struct kept *coll_get(const struct coll *c, struct value id); // only where documents are kept
bool coll_has(const struct coll *c, struct value id);

enum added { ADDED, ADDED_NOT_DUPLICATE, ADDED_NOT_FULL };
enum added coll_add(struct docs *d, struct coll *c, struct value id, struct doc doc);
bool coll_remove(struct docs *d, struct coll *c, struct value id); // whether it was there
void coll_replace(struct docs *d, struct coll *c, struct kept *k, struct doc with); // the same _id
// The shortest order that has all documents that a filter can match.
const struct order *coll_order(const struct coll *c, struct doc filter);

void coll_add_index(struct coll *c, struct str name, struct doc spec); // replaces one of that name
