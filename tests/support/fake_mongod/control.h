// The control channel's lines; see the head of main.c for what they are.
#pragma once

#include "server.h"

enum control_act { CONTROL_NONE, CONTROL_DOWN, CONTROL_UP, CONTROL_QUIT };

// Appends the answer, with its newlines. What is about connections is the caller's to do.
enum control_act control_run(struct server *s, struct str line, struct buf *to);
