/*
 * A V4L2 capture node that is a preloaded library: what a program costs by itself, without a kernel behind it.
 *
 * open("/dev/vb2user-shim") gives a node with one queue: MMAP, USERPTR and DMABUF, as many buffers as wanted, YUYV in
 * any size (VB2USER_SHIM_SIZE=WIDTHxHEIGHT to begin with); or, with VB2USER_SHIM_PLANES=2 or 3, multi-planar NM12 or YM12.
 * open("/dev/dma_heap/system") gives a heap. No frame is ever written; DQBUF hands the
 * buffers back in their order, with sequence numbers that depend on nothing, and timestamps of CLOCK_MONOTONIC. Two
 * runs are alike to a few instructions.
 *
 * The node behaves as a camera that is slower than the program: after each frame there is none until somebody waits
 * (poll, select, epoll_wait, or DQBUF without O_NONBLOCK), and then there is one at once. With VB2USER_SHIM_READY=1 it
 * is as a camera that is faster: as long as a buffer is queued, there is a frame. With VB2USER_SHIM_TIMES=FILE each
 * stream appends a line to that file: nanoseconds per frame, from frame SKIPPED to STREAMOFF.
 *
 * The file behind a node is an eventfd that is always readable: poll and epoll need no help. Marks (marks.h) keep
 * the shim's own instructions out of the count.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "marks.h"

#define NODE "/dev/vb2user-shim"
#define HEAP "/dev/dma_heap/system"
#define MAX_FDS 1024
#define MAX_BUFFERS 64
#define SKIPPED 500
#define PAGE 4096u

enum kind { NOTHING, IS_NODE, IS_HEAP, IS_DMABUF };

struct node {
	bool nonblock, streaming, ready;
	unsigned count, memory, queued, first, sequence;
	unsigned queue[MAX_BUFFERS];
	struct v4l2_buffer buffers[MAX_BUFFERS];
	struct v4l2_plane planes[MAX_BUFFERS][VIDEO_MAX_PLANES];
	struct v4l2_pix_format format;
	int memfd;
	long since;
};

static enum kind kinds[MAX_FDS];
static struct node *nodes[MAX_FDS];
static bool always_ready;
static unsigned type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
static unsigned plane_count = 1;
static unsigned first_width = 640, first_height = 360;
static const char *times;

static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_fcntl)(int, int, ...);
static int (*real_fstat)(int, struct stat *);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);
static int (*real_poll)(struct pollfd *, nfds_t, int);
static int (*real_select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);

__attribute__((constructor)) static void begin(void)
{
	real_ioctl = dlsym(RTLD_NEXT, "ioctl");
	real_open = dlsym(RTLD_NEXT, "open64");
	real_close = dlsym(RTLD_NEXT, "close");
	real_fcntl = dlsym(RTLD_NEXT, "fcntl64");
	real_fstat = dlsym(RTLD_NEXT, "fstat64");
	real_mmap = dlsym(RTLD_NEXT, "mmap64");
	real_poll = dlsym(RTLD_NEXT, "poll");
	real_select = dlsym(RTLD_NEXT, "select");
	real_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
	always_ready = getenv("VB2USER_SHIM_READY") != NULL;
	times = getenv("VB2USER_SHIM_TIMES");
	if (getenv("VB2USER_SHIM_SIZE"))
		sscanf(getenv("VB2USER_SHIM_SIZE"), "%ux%u", &first_width, &first_height);
	if (getenv("VB2USER_SHIM_PLANES")) {
		plane_count = atoi(getenv("VB2USER_SHIM_PLANES"));
		type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
	}
}

static enum kind kind_of(int fd)
{
	return fd >= 0 && fd < MAX_FDS ? kinds[fd] : NOTHING;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

static long nanoseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void write_time(const struct node *node)
{
	FILE *file;

	if (!times || node->sequence <= SKIPPED + 1)
		return;
	file = fopen(times, "a");
	if (!file)
		return;
	fprintf(file, "%.1f\n", (double)(nanoseconds() - node->since) / (node->sequence - 1 - SKIPPED));
	fclose(file);
}

/* --- the queue ---------------------------------------------------------------------------------------------------- */

static bool multiplanar(void)
{
	return type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
}

static unsigned pixelformat(void)
{
	return !multiplanar() ? V4L2_PIX_FMT_YUYV : plane_count == 2 ? V4L2_PIX_FMT_NV12M : V4L2_PIX_FMT_YUV420M;
}

static void set_format(struct v4l2_pix_format *pix)
{
	pix->pixelformat = pixelformat();
	pix->width = pix->width ? pix->width : first_width;
	pix->height = pix->height ? pix->height : first_height;
	pix->bytesperline = 2 * pix->width;
	pix->sizeimage = pix->bytesperline * pix->height; /* with several planes there is room to round each up */
	pix->field = V4L2_FIELD_NONE;
	pix->colorspace = V4L2_COLORSPACE_SRGB;
	pix->priv = V4L2_PIX_FMT_PRIV_MAGIC;
	pix->flags = pix->ycbcr_enc = pix->quantization = pix->xfer_func = 0;
}

/* Bytes of a plane: luma, and chroma in one or two. */
static unsigned plane_size(const struct v4l2_pix_format *pix, unsigned plane)
{
	unsigned luma = pix->width * pix->height;

	return !plane ? luma : luma / 2 / (plane_count - 1);
}

static void answer_format(struct v4l2_format *format, struct v4l2_pix_format *own, bool keep)
{
	struct v4l2_pix_format pix = format->fmt.pix;
	struct v4l2_pix_format_mplane *mp = &format->fmt.pix_mp;

	if (multiplanar()) {
		pix.width = mp->width;
		pix.height = mp->height;
	}
	set_format(&pix);
	if (keep)
		*own = pix;
	if (!multiplanar()) {
		format->fmt.pix = pix;
		return;
	}
	*mp = (struct v4l2_pix_format_mplane){
		.width = pix.width, .height = pix.height, .pixelformat = pix.pixelformat, .field = pix.field,
		.colorspace = pix.colorspace, .num_planes = plane_count,
	};
	for (unsigned i = 0; i < plane_count; i++) {
		mp->plane_fmt[i].sizeimage = plane_size(&pix, i);
		mp->plane_fmt[i].bytesperline = i && plane_count == 3 ? pix.width / 2 : pix.width;
	}
}

/* What the program gets: the buffer, and its planes into the array that it has brought. */
static void give(struct node *node, struct v4l2_buffer *buffer, unsigned index)
{
	struct v4l2_plane *planes = buffer->m.planes;
	unsigned room = buffer->length;

	*buffer = node->buffers[index];
	if (!multiplanar())
		return;
	memcpy(planes, node->planes[index], (room < plane_count ? room : plane_count) * sizeof(*planes));
	buffer->m.planes = planes;
	buffer->length = plane_count;
}

static unsigned stride(const struct node *node)
{
	return (node->format.sizeimage + PAGE - 1) / PAGE * PAGE;
}

static int allocate(struct node *node, unsigned first, unsigned count, unsigned memory)
{
	if (count > MAX_BUFFERS - first)
		count = MAX_BUFFERS - first;
	node->memory = memory;
	node->count = first + count;
	for (unsigned i = first; i < node->count; i++)
		node->buffers[i] = (struct v4l2_buffer){
			.index = i,
			.type = type,
			.flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
			.memory = memory,
			.length = node->format.sizeimage,
			.m.offset = memory == V4L2_MEMORY_MMAP ? i * stride(node) : 0,
		};
	for (unsigned i = first; i < node->count; i++)
		for (unsigned p = 0, offset = i * stride(node); p < plane_count; p++) {
			unsigned size = plane_size(&node->format, p);

			node->planes[i][p] = (struct v4l2_plane){.length = size, .bytesused = size};
			if (memory == V4L2_MEMORY_MMAP)
				node->planes[i][p].m.mem_offset = offset;
			offset += (size + PAGE - 1) / PAGE * PAGE;
		}
	if (memory == V4L2_MEMORY_MMAP && node->count) {
		if (node->memfd < 0)
			node->memfd = memfd_create("shim", MFD_CLOEXEC);
		return ftruncate(node->memfd, (off_t)node->count * stride(node));
	}
	return 0;
}

static unsigned capabilities(void)
{
	return V4L2_BUF_CAP_SUPPORTS_MMAP | V4L2_BUF_CAP_SUPPORTS_USERPTR | V4L2_BUF_CAP_SUPPORTS_DMABUF;
}

static int queue(struct node *node, struct v4l2_buffer *buffer)
{
	struct v4l2_buffer *own;

	if (buffer->index >= node->count || buffer->memory != node->memory)
		return fail(EINVAL);
	own = &node->buffers[buffer->index];
	if (own->flags & V4L2_BUF_FLAG_QUEUED)
		return fail(EINVAL);
	own->flags = (own->flags & ~V4L2_BUF_FLAG_DONE) | V4L2_BUF_FLAG_QUEUED;
	if (multiplanar()) {
		for (unsigned p = 0; p < plane_count && node->memory != V4L2_MEMORY_MMAP; p++) {
			node->planes[buffer->index][p].m = buffer->m.planes[p].m;
			node->planes[buffer->index][p].length = buffer->m.planes[p].length;
		}
	} else if (node->memory != V4L2_MEMORY_MMAP) {
		own->m = buffer->m;
		own->length = buffer->length;
	}
	node->queue[(node->first + node->queued++) % MAX_BUFFERS] = buffer->index;
	give(node, buffer, buffer->index);
	return 0;
}

static int dequeue(struct node *node, struct v4l2_buffer *buffer)
{
	struct v4l2_buffer *own;
	unsigned long us;

	if (!node->streaming || buffer->memory != node->memory)
		return fail(EINVAL);
	if (!node->queued || (node->nonblock && !node->ready && !always_ready))
		return fail(EAGAIN);
	node->ready = false;
	own = &node->buffers[node->queue[node->first]];
	node->first = (node->first + 1) % MAX_BUFFERS;
	node->queued--;
	us = (unsigned long)nanoseconds() / 1000; /* as drivers do it: a clock that is none costs more to judge */
	own->flags &= ~V4L2_BUF_FLAG_QUEUED;
	if (times && node->sequence == SKIPPED)
		node->since = nanoseconds();
	own->sequence = node->sequence++;
	own->timestamp = (struct timeval){us / 1000000, us % 1000000};
	own->field = V4L2_FIELD_NONE;
	own->bytesused = node->format.sizeimage;
	give(node, buffer, own->index);
	MARK(MARK_FRAME);
	return 0;
}

static int stream_on(struct node *node)
{
	node->streaming = true;
	node->sequence = 0;
	MARK(MARK_START);
	return 0;
}

static int stream_off(struct node *node)
{
	if (node->streaming) {
		MARK(MARK_STOP);
		write_time(node);
	}
	node->streaming = node->ready = false;
	node->queued = node->first = 0;
	for (unsigned i = 0; i < node->count; i++)
		node->buffers[i].flags &= ~(V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_DONE);
	return 0;
}

static int query_capabilities(struct v4l2_capability *caps)
{
	memset(caps, 0, sizeof(*caps));
	strcpy((char *)caps->driver, "shim");
	strcpy((char *)caps->card, "vb2user bench shim");
	strcpy((char *)caps->bus_info, "platform:shim");
	caps->version = 6 << 16;
	caps->device_caps = (multiplanar() ? V4L2_CAP_VIDEO_CAPTURE_MPLANE : V4L2_CAP_VIDEO_CAPTURE) | V4L2_CAP_STREAMING | V4L2_CAP_EXT_PIX_FORMAT;
	caps->capabilities = caps->device_caps | V4L2_CAP_DEVICE_CAPS;
	return 0;
}

static int enumerate_format(struct v4l2_fmtdesc *desc)
{
	if (desc->index || desc->type != type)
		return fail(EINVAL);
	strcpy((char *)desc->description, "the one there is");
	desc->pixelformat = pixelformat();
	return 0;
}

static int request_buffers(struct node *node, struct v4l2_requestbuffers *request)
{
	stream_off(node);
	allocate(node, 0, request->count, request->memory);
	request->count = node->count;
	request->capabilities = capabilities();
	return 0;
}

static int create_buffers(struct node *node, struct v4l2_create_buffers *create)
{
	create->index = node->count;
	create->capabilities = capabilities();
	if (!create->count)
		return 0;
	allocate(node, node->count, create->count, create->memory);
	create->count = node->count - create->index;
	return create->count ? 0 : fail(ENOBUFS);
}

static int node_ioctl(struct node *node, unsigned long request, void *arg)
{
	struct v4l2_format *format = arg;
	struct v4l2_buffer *buffer = arg;

	switch (request) {
	case VIDIOC_DQBUF:
		return dequeue(node, arg);
	case VIDIOC_QBUF:
		return queue(node, arg);
	case VIDIOC_QUERYCAP:
		return query_capabilities(arg);
	case VIDIOC_ENUM_FMT:
		return enumerate_format(arg);
	case VIDIOC_S_FMT:
	case VIDIOC_TRY_FMT:
	case VIDIOC_G_FMT:
		if (format->type != type)
			return fail(EINVAL);
		if (request == VIDIOC_G_FMT && !multiplanar())
			format->fmt.pix = node->format;
		if (request == VIDIOC_G_FMT && multiplanar()) {
			format->fmt.pix_mp.width = node->format.width;
			format->fmt.pix_mp.height = node->format.height;
		}
		answer_format(format, &node->format, request == VIDIOC_S_FMT);
		return 0;
	case VIDIOC_REQBUFS:
		return request_buffers(node, arg);
	case VIDIOC_CREATE_BUFS:
		return create_buffers(node, arg);
	case VIDIOC_QUERYBUF:
		if (buffer->index >= node->count)
			return fail(EINVAL);
		give(node, buffer, buffer->index);
		return 0;
	case VIDIOC_STREAMON:
		return stream_on(node);
	case VIDIOC_STREAMOFF:
		return stream_off(node);
	case FIONBIO:
		node->nonblock = *(int *)arg;
		return 0;
	}
	return fail(ENOTTY);
}

static int heap_ioctl(unsigned long request, struct dma_heap_allocation_data *data)
{
	int fd;

	if (request != DMA_HEAP_IOCTL_ALLOC)
		return fail(ENOTTY);
	fd = memfd_create("shim-dmabuf", MFD_CLOEXEC);
	if (fd < 0 || fd >= MAX_FDS || ftruncate(fd, data->len))
		return fail(ENOMEM);
	kinds[fd] = IS_DMABUF;
	data->fd = fd;
	return 0;
}

/* --- what libc is asked for --------------------------------------------------------------------------------------- */

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;
	int result;

	MARK(MARK_ENTER);
	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	switch (kind_of(fd)) {
	case IS_NODE:
		result = node_ioctl(nodes[fd], request, arg);
		break;
	case IS_HEAP:
		result = heap_ioctl(request, arg);
		break;
	case IS_DMABUF:
		result = request == DMA_BUF_IOCTL_SYNC ? 0 : fail(ENOTTY);
		break;
	default:
		MARK(MARK_LEAVE);
		return real_ioctl(fd, request, arg);
	}
	MARK(MARK_LEAVE);
	return result;
}

static int open_shim(const char *path, int flags, int *result)
{
	enum kind kind = NOTHING;
	int fd, number;

	if (!strcmp(path, NODE))
		kind = IS_NODE;
	else if (!strcmp(path, HEAP))
		kind = IS_HEAP;
	if (kind) {
		fd = eventfd(1, EFD_CLOEXEC);
		if (fd < 0 || fd >= MAX_FDS)
			return *result = fail(EMFILE), true;
		kinds[fd] = kind;
		if (kind == IS_NODE) {
			nodes[fd] = calloc(1, sizeof(struct node));
			nodes[fd]->nonblock = flags & O_NONBLOCK;
			nodes[fd]->memfd = -1;
			set_format(&nodes[fd]->format);
		}
		return *result = fd, true;
	}
	if (sscanf(path, "/proc/self/fdinfo/%d", &number) == 1 && kind_of(number) == IS_DMABUF) {
		static const char text[] = "exp_name:\tshim\n";

		fd = memfd_create("shim-fdinfo", MFD_CLOEXEC);
		if (write(fd, text, sizeof(text) - 1) < 0)
			return *result = -1, true;
		lseek(fd, 0, SEEK_SET);
		return *result = fd, true;
	}
	return false;
}

static int any_open(const char *path, int flags, mode_t mode)
{
	int fd;

	return open_shim(path, flags, &fd) ? fd : real_open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	return any_open(path, flags, mode);
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));

int __open64_2(const char *path, int flags)
{
	return any_open(path, flags, 0);
}

int __open_2(const char *path, int flags) __attribute__((alias("__open64_2")));

int close(int fd)
{
	if (kind_of(fd) == IS_NODE) {
		stream_off(nodes[fd]);
		if (nodes[fd]->memfd >= 0)
			real_close(nodes[fd]->memfd);
		free(nodes[fd]);
	}
	if (kind_of(fd))
		kinds[fd] = NOTHING;
	return real_close(fd);
}

int fcntl64(int fd, int command, ...)
{
	va_list list;
	long arg;
	int result;

	va_start(list, command);
	arg = va_arg(list, long);
	va_end(list);
	result = real_fcntl(fd, command, arg);
	if (kind_of(fd) == IS_NODE && command == F_SETFL)
		nodes[fd]->nonblock = arg & O_NONBLOCK;
	if (kind_of(fd) == IS_DMABUF && (command == F_DUPFD || command == F_DUPFD_CLOEXEC) && kind_of(result) == NOTHING)
		if (result >= 0 && result < MAX_FDS)
			kinds[result] = IS_DMABUF;
	return result;
}

int fcntl(int fd, int command, ...) __attribute__((alias("fcntl64")));

int fstat64(int fd, struct stat64 *status)
{
	int result = real_fstat(fd, (struct stat *)status);

	if (!result && (kind_of(fd) == IS_NODE || kind_of(fd) == IS_HEAP)) {
		status->st_mode = S_IFCHR | 0600;
		status->st_rdev = makedev(81, 63);
	}
	return result;
}

int fstat(int fd, struct stat *status) __attribute__((alias("fstat64")));

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
	if (kind_of(fd) == IS_NODE)
		fd = nodes[fd]->memfd;
	return real_mmap(address, length, protection, flags, fd, offset);
}

void *mmap(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap64")));

static void all_ready(void)
{
	for (int fd = 0; fd < MAX_FDS; fd++)
		if (kinds[fd] == IS_NODE)
			nodes[fd]->ready = true;
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int result;

	MARK(MARK_ENTER);
	MARK(MARK_LEAVE);
	result = real_poll(fds, count, timeout);
	MARK(MARK_AGAIN);
	for (nfds_t i = 0; i < count; i++)
		if (kind_of(fds[i].fd) == IS_NODE && fds[i].revents & POLLIN)
			nodes[fds[i].fd]->ready = true;
	MARK(MARK_LEAVE);
	return result;
}

int select(int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *timeout)
{
	int result;

	MARK(MARK_ENTER);
	MARK(MARK_LEAVE);
	result = real_select(count, in, out, other, timeout);
	MARK(MARK_AGAIN);
	if (result > 0)
		all_ready();
	MARK(MARK_LEAVE);
	return result;
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int result;

	MARK(MARK_ENTER);
	MARK(MARK_LEAVE);
	result = real_epoll_wait(fd, events, max, timeout);
	MARK(MARK_AGAIN);
	if (result > 0)
		all_ready();
	MARK(MARK_LEAVE);
	return result;
}
