// The sentences around the people's table and the page: what is shown, and what it leaves out.
// Lines for a terminal of any width; the names in them are not made harmless.
#pragma once

#include "report/format.h"

// "22 Nov 14:00 to 23 Nov 14:00 UTC · 8 GPUs on 2 hosts · final · split weighted 1:4", no newline.
void notes_heading(const struct report *r, struct buf *b);
// Why there is not a single row, and where there would be some.
void notes_no_rows(const struct report *r, struct buf *b);
// What has no place or no price, and the commands that say more. Begins with a blank line; nothing
// where all is well.
void notes_under(const struct report *r, const struct report_style *style, struct buf *b);
