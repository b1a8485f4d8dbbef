/*
 * What a measured program says to count.c: instructions that do nothing anywhere, and that nobody else's program has.
 *
 * A mark is the processor's own long nop (0f 1f 84 00 and four bytes of operand) with an operand of ours, so it costs
 * a program one instruction, natively as well, and needs no agreement about addresses. x86-64 only.
 */
#ifndef VB2USER_BENCH_MARKS_H
#define VB2USER_BENCH_MARKS_H

#define MARK_PREFIX 0x7662 /* the operand's upper half */

#define MARK_START 1 /* a measurement begins: STREAMON */
#define MARK_STOP 2  /* and ends: STREAMOFF */
#define MARK_FRAME 3 /* a DQBUF has brought a frame */
#define MARK_ENTER 4 /* from here on it is not the measured program that runs */
#define MARK_LEAVE 5 /* and now it is again */
#define MARK_AGAIN 6 /* as MARK_ENTER, within the same call */
#define MARK_PROCESS 7 /* a program begins */

#define MARK_STRING_(x) #x
#define MARK_STRING(x) MARK_STRING_(x)
#define MARK(kind) __asm__ volatile(".byte 0x0f,0x1f,0x84,0x00,0," MARK_STRING(kind) ",0x62,0x76" ::: "memory")

#endif
