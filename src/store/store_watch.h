/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams end when musterd cuts them, but a program that waits for storage does not see that: somebody has to look at
 * the socket meanwhile, and end it all. Only in the helper program.
 */
#pragma once

/* From now on the program, with all that it has started, is killed when the other end of `fd` has gone and it has not
 * ended by itself a while later. */
void watch_stream(int fd);
/* An import has everything that was to come: that the other end goes is as it should be. What is left to do (flushing,
 * converting) ends before the one who asked for it gives up. */
void watch_all_read(void);
