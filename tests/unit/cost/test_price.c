#include "cost/price.h"

#include "base/macros.h"
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
        const struct price_entry *e =
            price_at(&book, str_of(in_force[i].name), str_of(in_force[i].site), in_force[i].t);
        int64_t got = e ? e->price_nusd_hour : -1;
        if (got != in_force[i].want) {
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
    assert_null(price_at(&empty, STR("NVIDIA H100"), STR_NONE, 0));
    assert_i64(price_next_change(&empty, STR("NVIDIA H100"), STR_NONE, 0), INT64_MAX);
}

int main(void)
{
    return TEST_RUN(TEST(test_in_force), TEST(test_next_change), TEST(test_empty_book));
}
