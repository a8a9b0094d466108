// Messages that Kafka will never take: kept in a file beside the spool, so that they can be sent
// again once somebody has mended what was wrong.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output/kafka/kafka.h"

#define FILE_BYTES_MAX (INT64_C(64) << 20)

// What has to be done, for a person.
static const char *remedy(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return "give this user the right to write to the topic";
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return "give the topic a name that Kafka takes";
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return "raise the topic's max.message.bytes, and message.max.bytes here";
    default:
        return "see what the brokers' log says";
    }
}

static bool append_lines(struct kafka_sink *s, const struct buf *lines)
{
    struct stat file;
    if (s->refused_fd < 0 || !buf_ok(lines) || fstat(s->refused_fd, &file) < 0 ||
        file.st_size + (int64_t)lines->n > FILE_BYTES_MAX) {
        return false;
    }
    ssize_t n = write(s->refused_fd, lines->p, lines->n);
    if (n == (ssize_t)lines->n && fdatasync(s->refused_fd) == 0) {
        return true;
    }
    (void)!ftruncate(s->refused_fd, file.st_size); // half a line is none
    return false;
}

void keep_refused(struct kafka_sink *s, struct message *messages, size_t n)
{
    struct buf lines;
    struct error why;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    size_t refused = 0;
    buf_init(&lines, (size_t)FILE_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (messages[i].fate == MESSAGE_REFUSED) {
            buf_str(&lines, messages[i].value);
            buf_char(&lines, '\n');
            code = messages[i].code;
            refused++;
        }
    }
    if (refused > 0) {
        bool kept = append_lines(s, &lines);
        kafka_error(&why, code, "kafka refuses %zu of the records for good%s; %s", refused,
                    kept ? " (kept in refused.ndjson beside the spool)" : ", and they are lost",
                    remedy(code));
        sink_report(&s->base, &why);
        pthread_mutex_lock(&s->lock);
        s->refused_lost += kept ? 0 : refused;
        pthread_mutex_unlock(&s->lock);
    }
    buf_done(&lines);
}
