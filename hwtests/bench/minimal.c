/*
 * The least that a C program does for a frame, as the measure of the others: (poll,) DQBUF, QBUF.
 *
 * With "copy" also memcpy of the picture, as the measure of a copy; with "sync" poll, and DMA_BUF_IOCTL_SYNC before and
 * after the look, without which what the CPU sees of a dma-buf may be old. The format is the one that is set.
 */
#define USAGE "usage: minimal poll|block|copy|sync NODE mmap|userptr|dmabuf FRAMES [BUFFERS]\n"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static void must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

static void give_memory(int heap, struct v4l2_buffer *buffer, unsigned size)
{
	if (buffer->memory == V4L2_MEMORY_USERPTR) {
		buffer->m.userptr = (unsigned long)aligned_alloc(4096, (size + 4095) / 4096 * 4096);
		buffer->length = size;
	} else if (buffer->memory == V4L2_MEMORY_DMABUF) {
		struct dma_heap_allocation_data data = {.len = (size + 4095) / 4096 * 4096, .fd_flags = O_RDWR | O_CLOEXEC};

		must(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data), "DMA_HEAP_IOCTL_ALLOC");
		buffer->m.fd = data.fd;
		buffer->length = data.len;
	}
}

static void *mapped[64];
static void *copy;

static void prepare(int fd, unsigned memory, unsigned count, int copying)
{
	struct v4l2_requestbuffers request = {.count = count, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = memory};
	struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
	int heap = -1;

	must(ioctl(fd, VIDIOC_G_FMT, &format), "VIDIOC_G_FMT");
	must(ioctl(fd, VIDIOC_REQBUFS, &request), "VIDIOC_REQBUFS");
	if (memory == V4L2_MEMORY_DMABUF)
		must(heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC), "/dev/dma_heap/system");
	for (unsigned i = 0; i < request.count; i++) {
		struct v4l2_buffer buffer = {.index = i, .type = request.type, .memory = memory};

		must(ioctl(fd, VIDIOC_QUERYBUF, &buffer), "VIDIOC_QUERYBUF");
		if (memory == V4L2_MEMORY_MMAP) {
			mapped[i % 64] = mmap(NULL, buffer.length, PROT_READ, MAP_SHARED, fd, buffer.m.offset);
			if (mapped[i % 64] == MAP_FAILED)
				must(-1, "mmap");
		} else {
			give_memory(heap, &buffer, format.fmt.pix.sizeimage);
		}
		must(ioctl(fd, VIDIOC_QBUF, &buffer), "VIDIOC_QBUF");
	}
	if (copying)
		copy = malloc(format.fmt.pix.sizeimage);
}

static void sync_dma_buf(int fd, unsigned way)
{
	struct dma_buf_sync sync = {.flags = way | DMA_BUF_SYNC_READ};

	must(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync), "DMA_BUF_IOCTL_SYNC");
}

int main(int argc, char **argv)
{
	int polling, syncing, type = V4L2_BUF_TYPE_VIDEO_CAPTURE, fd;
	unsigned memory;
	long frames;

	if (argc < 5)
		return fprintf(stderr, USAGE), 2;
	syncing = !strcmp(argv[1], "sync");
	polling = syncing || !strcmp(argv[1], "poll");
	memory = !strcmp(argv[3], "mmap") ? V4L2_MEMORY_MMAP
		: !strcmp(argv[3], "userptr") ? V4L2_MEMORY_USERPTR : V4L2_MEMORY_DMABUF;
	frames = atol(argv[4]);
	must(fd = open(argv[2], O_RDWR | O_CLOEXEC | (polling ? O_NONBLOCK : 0)), argv[2]);
	prepare(fd, memory, argc > 5 ? atoi(argv[5]) : 4, !strcmp(argv[1], "copy"));
	must(ioctl(fd, VIDIOC_STREAMON, &type), "VIDIOC_STREAMON");
	for (long i = 0; i < frames; i++) {
		struct v4l2_buffer buffer = {.type = type, .memory = memory};

		if (polling) {
			struct pollfd wait = {.fd = fd, .events = POLLIN};

			must(poll(&wait, 1, -1), "poll");
		}
		must(ioctl(fd, VIDIOC_DQBUF, &buffer), "VIDIOC_DQBUF");
		if (syncing) {
			sync_dma_buf(buffer.m.fd, DMA_BUF_SYNC_START);
			sync_dma_buf(buffer.m.fd, DMA_BUF_SYNC_END);
		}
		if (copy)
			memcpy(copy, mapped[buffer.index % 64], buffer.bytesused);
		must(ioctl(fd, VIDIOC_QBUF, &buffer), "VIDIOC_QBUF");
	}
	must(ioctl(fd, VIDIOC_STREAMOFF, &type), "VIDIOC_STREAMOFF");
	return 0;
}
