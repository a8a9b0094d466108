// What the MongoDB store takes to store requests, and then their final costs: whole commits of one
// batch each. With the fake mongod (--forget) on the other side it is the store's own time and
// libmongoc's; beside mongo_insert it says what writing BSON by itself is worth.
//
//     mongo_write URI RECORDS BATCH
#include "base/alloc.h"
#include "measure.h"
#include "output/store.h"

enum { ID_MAX = 32 };

struct batch {
    struct record *records;
    struct store_record *stored;
    struct usage_cost *costs;
    char (*ids)[ID_MAX];
    int64_t n;
};

static const int32_t gpus[] = {0, 1, 2, 3, 4, 5, 6, 7};

static void make(struct batch *b, int64_t i, int64_t number)
{
    struct record *r = &b->records[i];
    int n = snprintf(b->ids[i], ID_MAX, "token.usage.v1/%d/%09lld", (int)(number % 12),
                     (long long)number);
    *r = (struct record){.kind = RECORD_USAGE, .event_id = {b->ids[i], (size_t)n}};
    r->usage = (struct usage_record){
        .ts = INT64_C(1767225600000000000) + number * 1000003,
        .latency_ns = 1500000000 + number % 1000,
        .ttft_ns = 200000000 + number % 1000,
        .has = USAGE_TTFT,
        .prompt_tokens = 1000 + (number & 1023),
        .completion_tokens = 200 + (number & 255),
        .requests = 1,
        .model = STR("llama-3-70b-instruct"),
        .tenant = STR("search-and-ranking"),
        .host = STR("gpu-0001.example"),
        .gpus = &gpus[number & 7],
        .n_gpus = 1,
        .gpu_instance = GPU_INSTANCE_NONE,
    };
    r->digest = (uint64_t)number;
    b->costs[i] = (struct usage_cost){
        .tokens = r->usage.prompt_tokens + r->usage.completion_tokens,
        .priced = true,
        .cost_in_nusd = 1000000 + number % 1000,
        .cost_out_nusd = 2000000,
        .energy_j = 17.5,
        .has_energy = true,
        .final = true,
        .revision = 1,
    };
    b->stored[i] = (struct store_record){.record = r, .provisional = &b->costs[i]};
}

static void commit(struct store *s, struct store_write *w, struct spent *spent)
{
    struct error err;
    spent_begin(spent);
    int r = store_commit(s, w, &err);
    spent_end(spent);
    if (r < 0) {
        give_up("mongo_write: %s", err.msg);
    }
}

static void write_batch(struct store *s, struct batch *b, int64_t from, struct spent spent[2])
{
    for (int64_t i = 0; i < b->n; i++) {
        make(b, i, from + i);
    }
    struct store_write records = {.records = b->stored, .n_records = (size_t)b->n};
    commit(s, &records, &spent[0]);
    for (int64_t i = 0; i < b->n; i++) {
        b->costs[i].seq = b->records[i].seq;
        b->costs[i].event_id = b->records[i].event_id;
    }
    struct store_write costs = {.costs = b->costs, .n_costs = (size_t)b->n};
    commit(s, &costs, &spent[1]);
}

int main(int argc, char **argv)
{
    int64_t n = argument(argc, argv, 2), size = argument(argc, argv, 3);
    struct error err;
    struct store *s = NULL;
    struct spent spent[2] = {{0}};
    if (store_open(argv[1], STORE_WRITE, &s, &err) < 0) {
        give_up("mongo_write: %s", err.msg);
    }
    struct batch b = {
        .records = x_array((size_t)size, sizeof(*b.records)),
        .stored = x_array((size_t)size, sizeof(*b.stored)),
        .costs = x_array((size_t)size, sizeof(*b.costs)),
        .ids = x_array((size_t)size, sizeof(*b.ids)),
    };
    for (int64_t i = 0; i < n; i += b.n) {
        b.n = n - i < size ? n - i : size;
        write_batch(s, &b, i, spent);
    }
    store_close(s);
    printf("{\"documents\": %lld, \"cpu_s\": %.6f, \"wall_s\": %.6f, \"costs_cpu_s\": %.6f,"
           " \"costs_wall_s\": %.6f}\n",
           (long long)n, spent[0].cpu_s, spent[0].wall_s, spent[1].cpu_s, spent[1].wall_s);
    free(b.records);
    free(b.stored);
    free(b.costs);
    free(b.ids);
    return 0;
}
