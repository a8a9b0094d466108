#include "output/mongo/mongo_lib.h"

struct mongo_lib mongo_lib;

static void discard(mongoc_log_level_t level, const char *domain, const char *message, void *ctx)
{
    (void)level, (void)domain, (void)message, (void)ctx;
}

// What libmongoc has to say is in its errors, too, and these are ours to tell.
static void begin(void)
{
    mongoc_log_set_handler(discard, NULL);
    mongoc_init();
}

int mongo_lib_load(struct error *err)
{
    static const char *const names[] = {MONGO_FUNCTIONS(LIBRARY_NAME)};
    static struct library library =
        LIBRARY("libmongoc-1.0.so.0", "libmongoc-1.0-0", names, mongo_lib, begin);
    return library_load(&library, err);
}
