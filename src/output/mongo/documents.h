// Records, rows, costs and states of shards as documents, and documents as these. Internal to
// src/output/mongo.
#pragma once

#include "output/mongo/mongo.h"

void mg_write_record(struct mg_buf *b, const struct store_record *sr); // the fields, not closed
void mg_write_measures(struct mg_buf *b, const struct gpu_sample *g);  // all but ts and the GPU
void mg_unset_measures(struct mg_buf *b, const struct gpu_sample *g);  // those that it lacks
// Texts that are _ids: values alone, without a field's type and name.
void mg_write_row_id(struct mg_buf *b, uint32_t shard, const struct window_row *row);
void mg_write_start_id(struct mg_buf *b, int64_t t); // not above any id of a row of t or later
void mg_write_gpu_id(struct mg_buf *b, const struct gpu_key *gpu);
void mg_write_correction_id(struct mg_buf *b, const struct correction *c);
void mg_write_correction(struct mg_buf *b, const struct correction *c);            // not closed
void mg_write_row(struct mg_buf *b, uint32_t shard, const struct window_row *row); // not closed
void mg_write_cost(struct mg_buf *b, const struct usage_cost *c, bool late); // an update's "u"

// -EBADMSG when the document is none of ours. Texts borrow from doc. computed: its cost is more
// than the provisional one.
int mg_parse_record(const struct mg_conn *c, const bson_t *doc, enum record_kind kind,
                    struct arena *a, struct stored_record *ret, bool *ret_computed,
                    struct error *err) GTAP_CHECK;
int mg_parse_sample(const bson_t *doc, struct arena *a, struct gpu_sample *ret) GTAP_CHECK;
int mg_parse_row(const bson_t *doc, struct window_row *ret) GTAP_CHECK;
int mg_parse_shard(const bson_t *doc, struct arena *a, uint32_t *ret_shard,
                   struct mg_shard_doc *ret) GTAP_CHECK;
struct str mg_iter_str(const bson_iter_t *it); // text or bytes; else absent
bool mg_find_int(const bson_t *doc, const char *field, int64_t *ret);
struct str mg_find_str(const bson_t *doc, const char *field);
