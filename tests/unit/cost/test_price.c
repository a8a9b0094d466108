#include "cost/price.h"

#include "base/macros.h"
#include "cost/settings.h"
#include "test.h"

#define T(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const struct price_entry entries[] = {
    {.id = 1, .effective_from = 0, .price_nusd_hour = 10, .name = T("NVIDIA*")},
    {.id = 2, .effective_from = 0, .price_nusd_hour = 20, .name = T("NVIDIA H100")},
    {.id = 3, .effective_from = 0, .price_nusd_hour = 30, .name = T("NVIDIA H*"), .site = T("ams")},
    {.id = 4, .effective_from = 100, .price_nusd_hour = 40, .name = T("nvidia h100")},
    {.id = 5, .effective_from = 100, .price_nusd_hour = 50, .name = T("NVIDIA H100")},
    {.id = 6, .effective_from = 200, .price_nusd_hour = 60, .name = T("NVIDIA ????")},
    {.id = 7, .effective_from = 300, .price_nusd_hour = 0, .name = T("NVIDIA H100")},
};
static const struct price_book book = {entries, ARRAY_LEN(entries)};

static const struct {
    const char *what, *name, *site;
    int64_t t, want; // -1: no entry
} in_force[] = {
    {"a plain name before a glob", "NVIDIA H100", NULL, 0, 20},
    {"letter case is ignored", "nvidia h100", NULL, 99, 20},
    {"only the glob matches", "NVIDIA L4", NULL, 0, 10},
    {"the site's before any site's, though a glob", "NVIDIA H100", "ams", 0, 30},
    {"another site's does not count", "NVIDIA H100", "fra", 0, 20},
    {"sites have their letter case", "NVIDIA H100", "AMS", 0, 20},
    {"one ns before it holds", "NVIDIA H100", NULL, 99, 20},
    {"from its instant on; of two, the one added last", "NVIDIA H100", NULL, 100, 50},
    {"the newest before the site's", "NVIDIA H100", "ams", 100, 50},
    {"the newest before the plain one", "NVIDIA H100", NULL, 200, 60},
    {"a price of zero is a price", "NVIDIA H100", NULL, 300, 0},
    {"what no entry names", "AMD MI300X", NULL, 300, -1},
    {"a GPU without a name", NULL, NULL, 300, -1},
    {"before all of them", "NVIDIA H100", NULL, -1, -1},
};

static void test_in_force(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(in_force); i++) {
        struct price_found found = price_at(&book, PRICE_NONE, str_of(in_force[i].name),
                                            str_of(in_force[i].site), in_force[i].t);
        int64_t got = found.nusd_hour;
        if (got != in_force[i].want || (got < 0) != (found.entry == NULL)) {
            fail_at(__FILE__, __LINE__, "%s: got %lld, want %lld\n", in_force[i].what,
                    (long long)got, (long long)in_force[i].want);
        }
    }
}

static const struct {
    const char *name, *site;
    int64_t t, want;
} changes[] = {
    {"NVIDIA H100", NULL, -1, 0},      {"NVIDIA H100", NULL, 0, 100},
    {"NVIDIA H100", NULL, 99, 100},    {"NVIDIA H100", NULL, 100, 200},
    {"NVIDIA L40S", NULL, 0, 200}, // four letters, like H100
    {"NVIDIA L4", NULL, 0, INT64_MAX}, {"NVIDIA H100", NULL, 300, INT64_MAX},
    {NULL, NULL, 0, INT64_MAX},
};

static void test_next_change(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        assert_i64(price_next_change(&book, str_of(changes[i].name), str_of(changes[i].site),
                                     changes[i].t),
                   changes[i].want);
    }
}

static void test_empty_book(void **state)
{
    (void)state;
    const struct price_book empty = {NULL, 0};
    assert_i64(price_at(&empty, PRICE_NONE, STR("NVIDIA H100"), STR_NONE, 0).nusd_hour, PRICE_NONE);
    assert_i64(price_at(&empty, 36, STR("NVIDIA H100"), STR_NONE, 0).nusd_hour, 36);
    assert_null(price_at(&empty, 36, STR("NVIDIA H100"), STR_NONE, 0).entry);
    assert_i64(price_next_change(&empty, STR("NVIDIA H100"), STR_NONE, 0), INT64_MAX);
}

// ---- MIG slices ----------------------------------------------------------------------------

#define USD INT64_C(1000000000)
static const struct price_entry cut_entries[] = {
    {.id = 1, .effective_from = 0, .price_nusd_hour = 7 * USD, .name = T("NVIDIA H100*")},
    {.id = 2, .effective_from = 0, .price_nusd_hour = 2 * USD, .name = T("*A30")},
    {.id = 3, .effective_from = 100, .price_nusd_hour = 5 * USD, .name = T("*"), .site = T("ams")},
    {.id = 4, .effective_from = 200, .price_nusd_hour = 9, .name = T("mig 3g.40gb of *")},
    {.id = 5, .effective_from = 300, .price_nusd_hour = 14 * USD, .name = T("NVIDIA H100 80GB")},
    {.id = 6, .effective_from = 0, .price_nusd_hour = 4, .name = T("MIG of NVIDIA H100*")},
};
static const struct price_book cut_book = {cut_entries, ARRAY_LEN(cut_entries)};

static const struct {
    const char *what, *name, *site;
    int64_t fallback, t, want, entry;
} cut[] = {
    {"a seventh of the entry's", "MIG 1g.10gb of NVIDIA H100 80GB", NULL, -1, 0, USD, 1},
    {"three of them", "MIG 3g.40gb of NVIDIA H100 80GB", NULL, -1, 0, 3 * USD, 1},
    {"all of them", "MIG 7g.80gb of NVIDIA H100 80GB", NULL, -1, 0, 7 * USD, 1},
    {"an A30 has four", "MIG 1g.6gb of NVIDIA A30", NULL, -1, 0, USD / 2, 2},
    {"by site, rounded: 5/7", "MIG 1g.10gb of NVIDIA H100 80GB", "ams", -1, 100, 714285714, 3},
    {"rounded up: 5/7 * 3", "MIG 3g.40gb of NVIDIA H100 80GB", "ams", -1, 100, 2142857143, 3},
    {"the slice's own entry", "MIG 3g.40gb of NVIDIA H100 80GB", NULL, -1, 200, 9, 4},
    {"though the GPU's is newer", "MIG 3g.40gb of NVIDIA H100 80GB", NULL, -1, 300, 9, 4},
    {"the newest of the GPU's", "MIG 1g.10gb of NVIDIA H100 80GB", NULL, -1, 300, 2 * USD, 5},
    {"a share of the default", "MIG 2g.20gb of NVIDIA B200", NULL, 7 * USD, 0, 2 * USD, 0},
    {"no price, no share", "MIG 2g.20gb of NVIDIA B200", NULL, -1, 0, -1, 0},
    {"not known how many", "MIG 2g.20gb of NVIDIA R100", "ams", 7 * USD, 100, -1, 0},
    {"nor which GPU", "MIG 2g.20gb", "ams", 7 * USD, 100, -1, 0},
    {"nor which part", "MIG of NVIDIA B200", "ams", 7 * USD, 100, -1, 0},
    {"but by an entry of its own", "MIG of NVIDIA H100 80GB", NULL, 7 * USD, 0, 4, 6},
    {"the whole GPU", "NVIDIA H100 80GB", NULL, 3, 0, 7 * USD, 1},
};

static void test_slices(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        struct price_found found = price_at(&cut_book, cut[i].fallback, str_of(cut[i].name),
                                            str_of(cut[i].site), cut[i].t);
        int64_t entry = found.entry ? found.entry->id : 0;
        if (found.nusd_hour != cut[i].want || entry != cut[i].entry) {
            fail_at(__FILE__, __LINE__, "%s: got %lld of entry %lld\n", cut[i].what,
                    (long long)found.nusd_hour, (long long)entry);
        }
    }
}

static void test_slices_change_with_their_gpus(void **state)
{
    (void)state;
    struct str name = STR("MIG 3g.40gb of NVIDIA H100 80GB");
    assert_i64(price_next_change(&cut_book, name, STR("ams"), 0), 100);
    assert_i64(price_next_change(&cut_book, name, STR_NONE, 0), 200);
    assert_i64(price_next_change(&cut_book, name, STR_NONE, 200), 300);
    assert_i64(price_next_change(&cut_book, name, STR_NONE, 300), INT64_MAX);
}

int main(void)
{
    return TEST_RUN(TEST(test_in_force), TEST(test_next_change), TEST(test_empty_book),
                    TEST(test_slices), TEST(test_slices_change_with_their_gpus));
}
