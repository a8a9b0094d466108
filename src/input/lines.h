// Lines of a reader, in place: '\n' or "\r\n" ends one, blank ones are skipped, a UTF-8 byte order
// mark at the beginning too. Filling and taking are apart, so that lines taken between two fills
// stay where they are: a batch's text is copied once, in one piece.
#pragma once

#include "input/reader.h"

struct lines {
    struct reader *reader;
    char *p;                 // LINES_ROOM bytes, and LINES_PADDING readable ones behind
    size_t at, end;          // what is there: p[at..end)
    size_t searched;         // p[at..searched) holds no '\n'
    size_t limit;            // longest line
    int64_t offset;          // of p[at], bytes from the beginning of the unpacked file
    int64_t number;          // of the line taken last, from 1, blank ones counted
    bool last;               // nothing comes behind p[end]: an unfinished line is a line
    bool skipping;           // inside of a line too long, already reported
    enum reader_result then; // with last: what to say once all is taken
};

// LINES_PADDING: what the decoder wants behind a line.
enum { LINES_LIMIT_MAX = 1 << 20, LINES_BLOCK = 1 << 20, LINES_PADDING = 64 };

// limit: 1..LINES_LIMIT_MAX. Takes the reader over.
void lines_init(struct lines *l, struct reader *reader, size_t limit);
void lines_done(struct lines *l);

// Makes more of the input visible, once all of it was taken; moves what is left. Results and
// errors are reader_read()'s: READER_END and READER_NEW only when everything before was taken.
int lines_fill(struct lines *l, struct error *err) GTAP_CHECK;

enum line_result { LINE_NONE, LINE_TAKEN, LINE_TOO_LONG };

// The next line, without its end. LINE_NONE: fill first. Of a line too long *ret is the first
// `limit` bytes; the rest of it is passed over.
enum line_result lines_take(struct lines *l, struct str *ret);

// The next line without taking it, reading as far as it must (a regular file: never waits);
// absent when there is none. At most `limit` bytes of it.
struct str lines_peek(struct lines *l);

// Goes to the beginning of a line. -ESTALE when the file has no line beginning there.
int lines_seek(struct lines *l, int64_t offset, struct error *err) GTAP_CHECK;
