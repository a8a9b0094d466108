#include "sqlite_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history.h"

enum { FILE_MAX = 64 << 20 };

char *path_in(struct fixture *f, const char *name)
{
    char *path AUTO_FREE = x_asprintf("%s/%s", f->folder, name);
    return (char *)(uintptr_t)arena_copy(&f->arena, (struct str){path, strlen(path) + 1}).p;
}

char *uri_in(struct fixture *f, const char *name)
{
    char *uri AUTO_FREE = x_asprintf("sqlite:%s/%s", f->folder, name);
    return (char *)(uintptr_t)arena_copy(&f->arena, (struct str){uri, strlen(uri) + 1}).p;
}

void write_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_i64(write(fd, bytes, n), (int64_t)n);
    close(fd);
}

struct buf read_file(const char *path)
{
    struct buf b;
    char chunk[65536];
    ssize_t n;
    buf_init(&b, FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0) {
        buf_add(&b, chunk, (size_t)n);
    }
    if (fd >= 0) {
        close(fd);
    }
    assert_true(buf_ok(&b));
    return b;
}

void copy_file(const char *from, const char *to)
{
    struct buf b = read_file(from);
    write_file(to, b.p, b.n);
    buf_done(&b);
}

int64_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? -1 : (int64_t)st.st_size;
}

void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_i64(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", sql, sqlite3_errmsg(db));
    }
    assert_i64(sqlite3_close(db), SQLITE_OK);
}

void fill(struct fixture *f, int writes)
{
    struct history h = {.random = 77};
    assert_ok(store_set_shards(f->s, SHARDS, &f->err), &f->err);
    for (int i = 0; i < writes; i++) {
        write_random(&h, f);
        put(f);
    }
}
