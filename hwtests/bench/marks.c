/*
 * Preloaded into any program that streams from a real V4L2 device: marks (marks.h) at its STREAMON, DQBUF and STREAMOFF.
 *
 * The program's own calls of libc's ioctl go through here and on to the kernel; a program that makes its system calls
 * itself is not seen. What is done here is not counted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdlib.h>

#include "marks.h"

static int (*real_ioctl)(int, unsigned long, ...);

__attribute__((constructor)) static void begin(void)
{
	real_ioctl = dlsym(RTLD_NEXT, "ioctl");
	unsetenv("LD_PRELOAD"); /* what the program starts is not the program */
	MARK(MARK_PROCESS);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;
	int result;

	MARK(MARK_ENTER);
	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	/* Some pass it as a signed int. */
	if ((unsigned)request == VIDIOC_STREAMOFF)
		MARK(MARK_STOP);
	MARK(MARK_LEAVE);
	result = real_ioctl(fd, request, arg);
	MARK(MARK_AGAIN);
	if (!result && (unsigned)request == VIDIOC_STREAMON)
		MARK(MARK_START);
	if (!result && (unsigned)request == VIDIOC_DQBUF)
		MARK(MARK_FRAME);
	MARK(MARK_LEAVE);
	return result;
}
