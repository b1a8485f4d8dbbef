// SPDX-License-Identifier: GPL-2.0-only
/*
 * vb2probe: the smallest honest V4L2 driver for each videobuf2 allocator.
 *
 * For each of vmalloc, dma-contig and dma-sg there is one platform device with four video nodes,
 * vb2probe-<allocator>-{cap,cap-mplane,out,out-mplane}. The single-planar nodes do YUYV in one memory
 * plane, the multi-planar ones NV12M in two. Each node has a queue of its own.
 *
 * A capture node writes into every byte of every plane, and an output node expects in every byte of
 * its payload, a pattern of little-endian 32-bit words:
 *
 *	word i = sequence * 0x9E3779B1 + plane * 0x85EBCA77 + i * 0xC2B2AE3D	(modulo 2^32)
 *
 * where sequence is v4l2_buffer.sequence (counted from 0 at STREAMON), plane is the memory plane's
 * number, and the word that does not fit whole at the end is cut. Every factor is odd, so word 0 and
 * the plane tell the sequence where the API does not (read(2)).
 *
 * A buffer is marked V4L2_BUF_FLAG_ERROR when the memory cannot be reached by the CPU, when the
 * allocator's cookie (the DMA address, the scatter/gather table) does not cover a plane, or when
 * output data are not the pattern. Read-only controls count good and bad frames since STREAMON and
 * the pieces that the last frame's memory had for the device.
 *
 * There is no hardware: the CPU takes the device's part. So whatever cache maintenance stands
 * between CPU and device is undone around that, by the owner of the memory where there is one
 * (dma-buf), else by the DMA API; this is why the queues are bidirectional.
 *
 * Documentation: driver-api/media/v4l2-videobuf2, core-api/dma-api, driver-api/dma-buf.
 */

#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/hrtimer.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <media/v4l2-common.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-device.h>
#include <media/v4l2-event.h>
#include <media/v4l2-fh.h>
#include <media/v4l2-ioctl.h>
#include <media/videobuf2-dma-contig.h>
#include <media/videobuf2-dma-sg.h>
#include <media/videobuf2-v4l2.h>
#include <media/videobuf2-vmalloc.h>

#define DRIVER		"vb2probe"
/* The largest frame is one that any kernel can have in one piece: 4 MiB, without CMA. */
#define MIN_WIDTH	16U
#define MAX_WIDTH	1920U
#define MIN_HEIGHT	16U
#define MAX_HEIGHT	1080U
#define MAX_RATE	240U	/* frames per second; the least is one */

#define CID_BASE	(V4L2_CID_USER_BASE | 0xf000)
#define CID_GOOD	(CID_BASE + 0)
#define CID_BAD		(CID_BASE + 1)
#define CID_PIECES	(CID_BASE + 2)

static char *allocators[] = { "vmalloc", "dma-contig", "dma-sg" };
static int n_allocators = ARRAY_SIZE(allocators);
module_param_array(allocators, charp, &n_allocators, 0444);
MODULE_PARM_DESC(allocators, "which devices there are: vmalloc,dma-contig,dma-sg (all of them)");

static int video_nr = -1;
module_param(video_nr, int, 0444);
MODULE_PARM_DESC(video_nr, "number of the first video node (the first that is free)");

enum kind { VMALLOC, CONTIG, SG, N_KINDS };

static const char * const kind_names[N_KINDS] = { "vmalloc", "dma-contig", "dma-sg" };

struct probe_device;

/**
 * struct probe_node - one video node and its queue
 * @vdev:	the node
 * @queue:	its queue
 * @lock:	of @queue, @vdev and the format
 * @parent:	the device it belongs to
 * @ctrls:	counters that user space can read
 * @format:	what was granted; single-planar nodes use plane 0 of it
 * @period:	time per frame
 * @thread:	takes one buffer per period while streaming
 * @due:	when the next frame is due, ns of CLOCK_MONOTONIC
 * @sequence:	number of the next frame
 * @slock:	of @buffers
 * @buffers:	what videobuf2 handed to the driver
 * @good:	frames that went well since STREAMON
 * @bad:	frames that were marked as errors
 * @pieces:	DMA segments of the last frame, all planes together
 */
struct probe_node {
	struct video_device vdev;
	struct vb2_queue queue;
	struct mutex lock;
	struct probe_device *parent;
	struct v4l2_ctrl_handler ctrls;
	struct v4l2_pix_format_mplane format;
	struct v4l2_fract period;
	struct task_struct *thread;
	u64 due;
	u32 sequence;
	spinlock_t slock;
	struct list_head buffers;
	atomic_t good;
	atomic_t bad;
	atomic_t pieces;
};

struct probe_device {
	struct v4l2_device v4l2_dev;
	struct device *dev;
	enum kind kind;
	struct probe_node nodes[4];
};

struct probe_buffer {
	struct vb2_v4l2_buffer vb;
	struct list_head list;
};

static bool is_multiplanar(const struct probe_node *node)
{
	return V4L2_TYPE_IS_MULTIPLANAR(node->queue.type);
}

static bool is_output(const struct probe_node *node)
{
	return V4L2_TYPE_IS_OUTPUT(node->queue.type);
}

/* --- the pattern ------------------------------------------------------------------------------- */

static u32 pattern_start(u32 sequence, unsigned int plane)
{
	return sequence * 0x9E3779B1U + plane * 0x85EBCA77U;
}

static void pattern_fill(u8 *to, size_t bytes, u32 sequence, unsigned int plane)
{
	u32 value = pattern_start(sequence, plane);
	__le32 word;

	for (; bytes >= sizeof(word); to += sizeof(word), bytes -= sizeof(word)) {
		word = cpu_to_le32(value);
		memcpy(to, &word, sizeof(word));
		value += 0xC2B2AE3DU;
	}
	word = cpu_to_le32(value);
	memcpy(to, &word, bytes);
}

static bool pattern_matches(const u8 *from, size_t bytes, u32 sequence, unsigned int plane)
{
	u32 value = pattern_start(sequence, plane);
	__le32 word;

	for (; bytes >= sizeof(word); from += sizeof(word), bytes -= sizeof(word)) {
		word = cpu_to_le32(value);
		if (memcmp(from, &word, sizeof(word)))
			return false;
		value += 0xC2B2AE3DU;
	}
	word = cpu_to_le32(value);
	return !memcmp(from, &word, bytes);
}

/* --- memory, as a device and as the CPU see it ------------------------------------------------- */

/**
 * struct probe_view - one plane of one frame; each of the allocator's ops is called once for it
 * @bytes:	its size
 * @addr:	dma-contig: its bus address
 * @sgt:	dma-sg: its pieces
 * @vaddr:	where the CPU finds it
 * @remapped:	@vaddr is ours to give back
 */
struct probe_view {
	unsigned long bytes;
	dma_addr_t addr;
	struct sg_table *sgt;
	void *vaddr;
	bool remapped;
};

/* As the device sees it, by the cookie: how many pieces, or a negative errno if they do not cover it. */
static int probe_pieces(struct probe_node *node, struct vb2_buffer *vb, unsigned int plane,
			struct probe_view *view)
{
	unsigned long covered = 0;
	struct scatterlist *sg;
	dma_addr_t last;
	int i;

	switch (node->parent->kind) {
	case CONTIG:
		view->addr = vb2_dma_contig_plane_dma_addr(vb, plane);
		last = view->addr + view->bytes - 1;
		if (!view->addr || last < view->addr || last > dma_get_mask(node->parent->dev))
			return -EFAULT;
		return 1;
	case SG:
		view->sgt = vb2_dma_sg_plane_desc(vb, plane);
		if (!view->sgt || !view->sgt->sgl)
			return -EFAULT;
		for_each_sgtable_dma_sg(view->sgt, sg, i)
			covered += sg_dma_len(sg);
		return covered < view->bytes ? -EFAULT : view->sgt->nents;
	default:
		return 0;
	}
}

/* Memory at a bus address; behind an IOMMU only if that memory is in one piece as well. */
static void *probe_remap(struct device *dev, dma_addr_t addr, unsigned long bytes)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);
	phys_addr_t phys = domain ? iommu_iova_to_phys(domain, addr) : addr;
	unsigned long offset;

	for (offset = PAGE_SIZE; domain && offset < bytes; offset += PAGE_SIZE)
		if (iommu_iova_to_phys(domain, addr + offset) != phys + offset)
			return NULL;
	return phys ? memremap(phys, bytes, MEMREMAP_WB) : NULL;
}

/*
 * As the CPU sees it. The allocator knows, but for USERPTR on dma-contig: there the op vaddr has no
 * answer, for a DMA engine needs none. Then this driver does what an engine does, it goes by the bus
 * address.
 */
static int probe_vaddr(struct probe_node *node, struct vb2_buffer *vb, unsigned int plane,
		       struct probe_view *view)
{
	view->vaddr = vb2_plane_vaddr(vb, plane);
	if (!view->vaddr && node->parent->kind == CONTIG && vb->memory == VB2_MEMORY_USERPTR) {
		view->vaddr = probe_remap(node->parent->dev, view->addr, view->bytes);
		view->remapped = true;
	}
	return view->vaddr ? 0 : -EFAULT;
}

/* Hand a plane from the device to the CPU (before) or back, where caches need that. */
static int probe_sync(struct probe_node *node, struct vb2_buffer *vb, unsigned int plane,
		      const struct probe_view *view, bool before)
{
	struct device *dev = node->parent->dev;
	enum dma_data_direction dir = vb->vb2_queue->dma_dir;
	unsigned long offset, step;

	if (vb->memory == VB2_MEMORY_DMABUF) {
		struct dma_buf *dbuf = vb->planes[plane].dbuf;

		return before ? dma_buf_begin_cpu_access(dbuf, dir) : dma_buf_end_cpu_access(dbuf, dir);
	}
	if (view->sgt) {
		if (before)
			dma_sync_sgtable_for_cpu(dev, view->sgt, dir);
		else
			dma_sync_sgtable_for_device(dev, view->sgt, dir);
	} else if (view->addr &&
		   (vb->memory == VB2_MEMORY_USERPTR || vb->vb2_queue->non_coherent_mem)) {
		/* Page by page: behind an IOMMU one run of addresses may be many runs of memory. */
		for (offset = 0; offset < view->bytes; offset += step) {
			dma_addr_t addr = view->addr + offset;

			step = min(view->bytes - offset, PAGE_SIZE - offset_in_page(addr));
			if (before)
				dma_sync_single_for_cpu(dev, addr, step, dir);
			else
				dma_sync_single_for_device(dev, addr, step, dir);
		}
	}
	return 0;
}

/* The frame's content in one plane: write it or compare it. */
static int probe_content(struct probe_node *node, struct vb2_buffer *vb, unsigned int plane,
			 u32 sequence, void *vaddr)
{
	unsigned long bytes, offset;

	if (is_output(node)) {
		offset = vb->planes[plane].data_offset;
		bytes = vb2_get_plane_payload(vb, plane) - offset;
		return pattern_matches(vaddr + offset, bytes, sequence, plane) ? 0 : -EBADMSG;
	}
	bytes = node->format.plane_fmt[plane].sizeimage;
	pattern_fill(vaddr, bytes, sequence, plane);
	vb2_set_plane_payload(vb, plane, bytes);
	return 0;
}

/* Returns in how many pieces the device saw the plane, or a negative errno. */
static int probe_plane(struct probe_node *node, struct vb2_buffer *vb, unsigned int plane, u32 sequence)
{
	struct probe_view view = { .bytes = vb2_plane_size(vb, plane) };
	int pieces, ret, back;

	pieces = probe_pieces(node, vb, plane, &view);
	if (pieces < 0)
		return pieces;
	ret = probe_vaddr(node, vb, plane, &view);
	if (ret)
		return ret;
	ret = probe_sync(node, vb, plane, &view, true);
	if (!ret) {
		ret = probe_content(node, vb, plane, sequence, view.vaddr);
		back = probe_sync(node, vb, plane, &view, false);
		ret = ret ? ret : back;
	}
	if (view.remapped)
		memunmap(view.vaddr);
	return ret ? ret : pieces;
}

static void probe_frame(struct probe_node *node, struct vb2_v4l2_buffer *vbuf, u32 sequence)
{
	struct vb2_buffer *vb = &vbuf->vb2_buf;
	int ret = 0, pieces = 0;
	unsigned int plane;

	for (plane = 0; plane < vb->num_planes && ret >= 0; plane++) {
		ret = probe_plane(node, vb, plane, sequence);
		pieces += max(ret, 0);
	}
	if (ret < 0)
		dev_dbg(&node->vdev.dev, "frame %u, plane %u: %d\n", sequence, plane - 1, ret);
	atomic_set(&node->pieces, pieces);
	atomic_inc(ret < 0 ? &node->bad : &node->good);
	vbuf->sequence = sequence;
	vbuf->field = V4L2_FIELD_NONE;
	vb->timestamp = ktime_get_ns();
	vb2_buffer_done(vb, ret < 0 ? VB2_BUF_STATE_ERROR : VB2_BUF_STATE_DONE);
}

/* --- time -------------------------------------------------------------------------------------- */

static u64 probe_interval(const struct probe_node *node)
{
	return div_u64((u64)node->period.numerator * NSEC_PER_SEC, node->period.denominator);
}

static struct probe_buffer *probe_take(struct probe_node *node)
{
	struct probe_buffer *buf;
	unsigned long flags;

	spin_lock_irqsave(&node->slock, flags);
	buf = list_first_entry_or_null(&node->buffers, struct probe_buffer, list);
	if (buf)
		list_del(&buf->list);
	spin_unlock_irqrestore(&node->slock, flags);
	return buf;
}

static void probe_tick(struct probe_node *node, u64 now)
{
	u64 interval = probe_interval(node), missed = div64_u64(now - node->due, interval);
	struct probe_buffer *buf = probe_take(node);

	node->due += (missed + 1) * interval;
	if (!is_output(node)) {
		/* A camera goes on counting whether there is a buffer or not. */
		node->sequence += missed;
		if (buf)
			probe_frame(node, &buf->vb, node->sequence);
		node->sequence++;
	} else if (buf) {
		probe_frame(node, &buf->vb, node->sequence++);
	}
}

static int probe_thread(void *data)
{
	struct probe_node *node = data;
	ktime_t due;
	u64 now;

	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		due = ns_to_ktime(node->due);
		schedule_hrtimeout(&due, HRTIMER_MODE_ABS);
		now = ktime_get_ns();
		if (!kthread_should_stop() && now >= node->due)
			probe_tick(node, now);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* --- videobuf2 --------------------------------------------------------------------------------- */

static int probe_queue_setup(struct vb2_queue *queue, unsigned int *nbuffers, unsigned int *nplanes,
			     unsigned int sizes[], struct device *alloc_devs[])
{
	struct probe_node *node = vb2_get_drv_priv(queue);
	unsigned int plane;

	/* CREATE_BUFS brings sizes of its own. */
	if (*nplanes) {
		if (*nplanes != node->format.num_planes)
			return -EINVAL;
		for (plane = 0; plane < *nplanes; plane++)
			if (sizes[plane] < node->format.plane_fmt[plane].sizeimage)
				return -EINVAL;
		return 0;
	}
	*nplanes = node->format.num_planes;
	for (plane = 0; plane < *nplanes; plane++)
		sizes[plane] = node->format.plane_fmt[plane].sizeimage;
	return 0;
}

static int probe_buf_out_validate(struct vb2_buffer *vb)
{
	to_vb2_v4l2_buffer(vb)->field = V4L2_FIELD_NONE;
	return 0;
}

static int probe_buf_prepare(struct vb2_buffer *vb)
{
	struct probe_node *node = vb2_get_drv_priv(vb->vb2_queue);
	unsigned long size;
	unsigned int plane;

	for (plane = 0; plane < vb->num_planes; plane++) {
		size = node->format.plane_fmt[plane].sizeimage;
		if (vb2_plane_size(vb, plane) < size)
			return -EINVAL;
		if (!is_output(node))
			continue;
		/* A payload of 0 stands for a whole frame; write(2) leaves it so. */
		if (!vb2_get_plane_payload(vb, plane))
			vb2_set_plane_payload(vb, plane, size);
		if (vb2_get_plane_payload(vb, plane) <= vb->planes[plane].data_offset)
			return -EINVAL;
	}
	return 0;
}

static void probe_buf_queue(struct vb2_buffer *vb)
{
	struct probe_node *node = vb2_get_drv_priv(vb->vb2_queue);
	struct probe_buffer *buf = container_of(to_vb2_v4l2_buffer(vb), struct probe_buffer, vb);
	unsigned long flags;

	spin_lock_irqsave(&node->slock, flags);
	list_add_tail(&buf->list, &node->buffers);
	spin_unlock_irqrestore(&node->slock, flags);
}

static void probe_return_buffers(struct probe_node *node, enum vb2_buffer_state state)
{
	struct probe_buffer *buf;

	while ((buf = probe_take(node)))
		vb2_buffer_done(&buf->vb.vb2_buf, state);
}

static int probe_start_streaming(struct vb2_queue *queue, unsigned int count)
{
	struct probe_node *node = vb2_get_drv_priv(queue);

	node->sequence = 0;
	atomic_set(&node->good, 0);
	atomic_set(&node->bad, 0);
	atomic_set(&node->pieces, 0);
	node->due = ktime_get_ns() + probe_interval(node);
	node->thread = kthread_run(probe_thread, node, "%s", node->vdev.name);
	if (IS_ERR(node->thread)) {
		probe_return_buffers(node, VB2_BUF_STATE_QUEUED);
		return PTR_ERR(node->thread);
	}
	return 0;
}

static void probe_stop_streaming(struct vb2_queue *queue)
{
	struct probe_node *node = vb2_get_drv_priv(queue);

	kthread_stop(node->thread);
	probe_return_buffers(node, VB2_BUF_STATE_ERROR);
}

#ifdef VB2_HAS_WAIT_OPS
static void probe_wait_prepare(struct vb2_queue *queue)
{
	mutex_unlock(queue->lock);
}

static void probe_wait_finish(struct vb2_queue *queue)
{
	mutex_lock(queue->lock);
}
#endif

static const struct vb2_ops probe_queue_ops = {
	.queue_setup = probe_queue_setup,
	.buf_out_validate = probe_buf_out_validate,
	.buf_prepare = probe_buf_prepare,
	.buf_queue = probe_buf_queue,
	.start_streaming = probe_start_streaming,
	.stop_streaming = probe_stop_streaming,
#ifdef VB2_HAS_WAIT_OPS
	.wait_prepare = probe_wait_prepare,
	.wait_finish = probe_wait_finish,
#endif
};

/* --- formats ----------------------------------------------------------------------------------- */

/* Strides and sizes may be up to twice what is needed; what is neither was not meant. */
static u32 probe_at_least(u32 least, u32 wanted)
{
	return wanted >= least && wanted <= 2 * least ? wanted : least;
}

/* Turn @pix into what the driver grants of it. */
static void probe_adjust(struct probe_node *node, struct v4l2_pix_format_mplane *pix)
{
	bool mplane = is_multiplanar(node);
	unsigned int plane;

	v4l_bound_align_image(&pix->width, MIN_WIDTH, MAX_WIDTH, 3,
			      &pix->height, MIN_HEIGHT, MAX_HEIGHT, 1, 0);
	pix->pixelformat = mplane ? V4L2_PIX_FMT_NV12M : V4L2_PIX_FMT_YUYV;
	pix->num_planes = mplane ? 2 : 1;
	pix->field = V4L2_FIELD_NONE;
	pix->flags = 0;
	memset(pix->reserved, 0, sizeof(pix->reserved));
	for (plane = 0; plane < pix->num_planes; plane++) {
		struct v4l2_plane_pix_format *fmt = &pix->plane_fmt[plane];
		u32 least = pix->width * (mplane ? 1 : 2);
		u32 lines = plane ? pix->height / 2 : pix->height;

		fmt->bytesperline = round_up(probe_at_least(least, fmt->bytesperline), 8);
		fmt->sizeimage = probe_at_least(fmt->bytesperline * lines, fmt->sizeimage);
		memset(fmt->reserved, 0, sizeof(fmt->reserved));
	}
	/* What an output sends is the program's to say. */
	if (!is_output(node) || pix->colorspace == V4L2_COLORSPACE_DEFAULT) {
		pix->colorspace = V4L2_COLORSPACE_SRGB;
		pix->ycbcr_enc = V4L2_YCBCR_ENC_DEFAULT;
		pix->quantization = V4L2_QUANTIZATION_DEFAULT;
		pix->xfer_func = V4L2_XFER_FUNC_DEFAULT;
	}
}

static void to_single(struct v4l2_pix_format *to, const struct v4l2_pix_format_mplane *from)
{
	to->width = from->width;
	to->height = from->height;
	to->pixelformat = from->pixelformat;
	to->field = from->field;
	to->bytesperline = from->plane_fmt[0].bytesperline;
	to->sizeimage = from->plane_fmt[0].sizeimage;
	to->colorspace = from->colorspace;
	to->priv = V4L2_PIX_FMT_PRIV_MAGIC;
	to->flags = from->flags;
	to->ycbcr_enc = from->ycbcr_enc;
	to->quantization = from->quantization;
	to->xfer_func = from->xfer_func;
}

static void from_single(struct v4l2_pix_format_mplane *to, const struct v4l2_pix_format *from)
{
	memset(to, 0, sizeof(*to));
	to->width = from->width;
	to->height = from->height;
	to->plane_fmt[0].bytesperline = from->bytesperline;
	to->plane_fmt[0].sizeimage = from->sizeimage;
	to->colorspace = from->colorspace;
	to->ycbcr_enc = from->ycbcr_enc;
	to->quantization = from->quantization;
	to->xfer_func = from->xfer_func;
}

static int probe_format(struct file *file, struct v4l2_format *f, bool set)
{
	struct probe_node *node = video_drvdata(file);
	struct v4l2_pix_format_mplane pix;

	if (f->type != node->queue.type)
		return -EINVAL;
	if (is_multiplanar(node))
		pix = f->fmt.pix_mp;
	else
		from_single(&pix, &f->fmt.pix);
	probe_adjust(node, &pix);
	if (set) {
		if (vb2_is_busy(&node->queue))
			return -EBUSY;
		node->format = pix;
	}
	if (is_multiplanar(node))
		f->fmt.pix_mp = pix;
	else
		to_single(&f->fmt.pix, &pix);
	return 0;
}

static int probe_g_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	struct probe_node *node = video_drvdata(file);

	if (f->type != node->queue.type)
		return -EINVAL;
	if (is_multiplanar(node))
		f->fmt.pix_mp = node->format;
	else
		to_single(&f->fmt.pix, &node->format);
	return 0;
}

static int probe_try_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	return probe_format(file, f, false);
}

static int probe_s_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	return probe_format(file, f, true);
}

static int probe_enum_fmt(struct file *file, void *fh, struct v4l2_fmtdesc *f)
{
	struct probe_node *node = video_drvdata(file);

	if (f->index || f->type != node->queue.type)
		return -EINVAL;
	f->pixelformat = node->format.pixelformat;
	return 0;
}

static int probe_enum_framesizes(struct file *file, void *fh, struct v4l2_frmsizeenum *f)
{
	struct probe_node *node = video_drvdata(file);

	if (f->index || f->pixel_format != node->format.pixelformat)
		return -EINVAL;
	f->type = V4L2_FRMSIZE_TYPE_STEPWISE;
	f->stepwise.min_width = MIN_WIDTH;
	f->stepwise.max_width = MAX_WIDTH;
	f->stepwise.step_width = 8;
	f->stepwise.min_height = MIN_HEIGHT;
	f->stepwise.max_height = MAX_HEIGHT;
	f->stepwise.step_height = 2;
	return 0;
}

static int probe_enum_frameintervals(struct file *file, void *fh, struct v4l2_frmivalenum *f)
{
	struct probe_node *node = video_drvdata(file);

	if (f->index || f->pixel_format != node->format.pixelformat ||
	    f->width < MIN_WIDTH || f->width > MAX_WIDTH || f->width % 8 ||
	    f->height < MIN_HEIGHT || f->height > MAX_HEIGHT || f->height % 2)
		return -EINVAL;
	f->type = V4L2_FRMIVAL_TYPE_CONTINUOUS;
	f->stepwise.min = (struct v4l2_fract){ 1, MAX_RATE };
	f->stepwise.max = (struct v4l2_fract){ 1, 1 };
	f->stepwise.step = (struct v4l2_fract){ 1, 1 };
	return 0;
}

static int probe_parm(struct file *file, struct v4l2_streamparm *p, bool set)
{
	struct probe_node *node = video_drvdata(file);
	bool output = is_output(node);
	struct v4l2_fract *time = output ? &p->parm.output.timeperframe : &p->parm.capture.timeperframe;
	struct v4l2_fract wanted = *time;

	if (p->type != node->queue.type)
		return -EINVAL;
	if (set) {
		if (!wanted.numerator || !wanted.denominator)
			wanted = (struct v4l2_fract){ 1, 30 };
		else if (wanted.numerator > wanted.denominator)
			wanted = (struct v4l2_fract){ 1, 1 };
		else if ((u64)wanted.numerator * MAX_RATE < wanted.denominator)
			wanted = (struct v4l2_fract){ 1, MAX_RATE };
		if (vb2_is_streaming(&node->queue))
			return -EBUSY;
		node->period = wanted;
	}
	memset(&p->parm, 0, sizeof(p->parm));
	*time = node->period;
	if (output)
		p->parm.output.capability = V4L2_CAP_TIMEPERFRAME;
	else
		p->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
	/* File I/O: frames kept ready. */
	if (!is_multiplanar(node) && output)
		p->parm.output.writebuffers = 1;
	else if (!is_multiplanar(node))
		p->parm.capture.readbuffers = 1;
	return 0;
}

static int probe_g_parm(struct file *file, void *fh, struct v4l2_streamparm *p)
{
	return probe_parm(file, p, false);
}

static int probe_s_parm(struct file *file, void *fh, struct v4l2_streamparm *p)
{
	return probe_parm(file, p, true);
}

/* --- the rest of a video node ------------------------------------------------------------------ */

static int probe_querycap(struct file *file, void *fh, struct v4l2_capability *cap)
{
	strscpy(cap->driver, DRIVER, sizeof(cap->driver));
	strscpy(cap->card, video_devdata(file)->name, sizeof(cap->card));
	return 0;
}

static int probe_enum_input(struct file *file, void *fh, struct v4l2_input *input)
{
	if (input->index)
		return -EINVAL;
	input->type = V4L2_INPUT_TYPE_CAMERA;
	strscpy(input->name, "Pattern", sizeof(input->name));
	return 0;
}

static int probe_enum_output(struct file *file, void *fh, struct v4l2_output *output)
{
	if (output->index)
		return -EINVAL;
	output->type = V4L2_OUTPUT_TYPE_ANALOG;
	strscpy(output->name, "Comparison", sizeof(output->name));
	return 0;
}

static int probe_g_index(struct file *file, void *fh, unsigned int *index)
{
	*index = 0;
	return 0;
}

static int probe_s_index(struct file *file, void *fh, unsigned int index)
{
	return index ? -EINVAL : 0;
}

static const struct v4l2_ioctl_ops probe_ioctl_ops = {
	.vidioc_querycap = probe_querycap,
	.vidioc_enum_fmt_vid_cap = probe_enum_fmt,
	.vidioc_g_fmt_vid_cap = probe_g_fmt,
	.vidioc_try_fmt_vid_cap = probe_try_fmt,
	.vidioc_s_fmt_vid_cap = probe_s_fmt,
	.vidioc_g_fmt_vid_cap_mplane = probe_g_fmt,
	.vidioc_try_fmt_vid_cap_mplane = probe_try_fmt,
	.vidioc_s_fmt_vid_cap_mplane = probe_s_fmt,
	.vidioc_enum_fmt_vid_out = probe_enum_fmt,
	.vidioc_g_fmt_vid_out = probe_g_fmt,
	.vidioc_try_fmt_vid_out = probe_try_fmt,
	.vidioc_s_fmt_vid_out = probe_s_fmt,
	.vidioc_g_fmt_vid_out_mplane = probe_g_fmt,
	.vidioc_try_fmt_vid_out_mplane = probe_try_fmt,
	.vidioc_s_fmt_vid_out_mplane = probe_s_fmt,
	.vidioc_enum_framesizes = probe_enum_framesizes,
	.vidioc_enum_frameintervals = probe_enum_frameintervals,
	.vidioc_g_parm = probe_g_parm,
	.vidioc_s_parm = probe_s_parm,
	.vidioc_enum_input = probe_enum_input,
	.vidioc_g_input = probe_g_index,
	.vidioc_s_input = probe_s_index,
	.vidioc_enum_output = probe_enum_output,
	.vidioc_g_output = probe_g_index,
	.vidioc_s_output = probe_s_index,
	.vidioc_reqbufs = vb2_ioctl_reqbufs,
	.vidioc_create_bufs = vb2_ioctl_create_bufs,
	.vidioc_prepare_buf = vb2_ioctl_prepare_buf,
#ifdef VB2_HAS_REMOVE_BUFS
	.vidioc_remove_bufs = vb2_ioctl_remove_bufs,
#endif
	.vidioc_querybuf = vb2_ioctl_querybuf,
	.vidioc_qbuf = vb2_ioctl_qbuf,
	.vidioc_dqbuf = vb2_ioctl_dqbuf,
	.vidioc_expbuf = vb2_ioctl_expbuf,
	.vidioc_streamon = vb2_ioctl_streamon,
	.vidioc_streamoff = vb2_ioctl_streamoff,
	.vidioc_log_status = v4l2_ctrl_log_status,
	.vidioc_subscribe_event = v4l2_ctrl_subscribe_event,
	.vidioc_unsubscribe_event = v4l2_event_unsubscribe,
};

static const struct v4l2_file_operations probe_fops = {
	.owner = THIS_MODULE,
	.open = v4l2_fh_open,
	.release = vb2_fop_release,
	.unlocked_ioctl = video_ioctl2,
	.read = vb2_fop_read,
	.write = vb2_fop_write,
	.mmap = vb2_fop_mmap,
	.poll = vb2_fop_poll,
};

static int probe_g_counter(struct v4l2_ctrl *ctrl)
{
	struct probe_node *node = container_of(ctrl->handler, struct probe_node, ctrls);
	const atomic_t *counter = ctrl->id == CID_GOOD ? &node->good :
				  ctrl->id == CID_BAD ? &node->bad : &node->pieces;

	ctrl->val = atomic_read(counter) & INT_MAX;
	return 0;
}

static const struct v4l2_ctrl_ops probe_ctrl_ops = { .g_volatile_ctrl = probe_g_counter };

static int probe_ctrls(struct probe_node *node)
{
	static const char * const names[] = { "Good Frames", "Bad Frames", "DMA Pieces" };
	unsigned int i;

	v4l2_ctrl_handler_init(&node->ctrls, ARRAY_SIZE(names));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct v4l2_ctrl_config config = {
			.ops = &probe_ctrl_ops,
			.id = CID_BASE + i,
			.name = names[i],
			.type = V4L2_CTRL_TYPE_INTEGER,
			.max = INT_MAX,
			.step = 1,
			.flags = V4L2_CTRL_FLAG_READ_ONLY | V4L2_CTRL_FLAG_VOLATILE,
		};

		v4l2_ctrl_new_custom(&node->ctrls, &config, NULL);
	}
	return node->ctrls.error;
}

/* --- coming and going -------------------------------------------------------------------------- */

static int probe_node_init(struct probe_device *probe, struct probe_node *node, bool output, bool mplane)
{
	static const struct vb2_mem_ops * const mem_ops[N_KINDS] = {
		&vb2_vmalloc_memops, &vb2_dma_contig_memops, &vb2_dma_sg_memops,
	};
	struct vb2_queue *queue = &node->queue;
	struct video_device *vdev = &node->vdev;
	int ret;

	node->parent = probe;
	mutex_init(&node->lock);
	spin_lock_init(&node->slock);
	INIT_LIST_HEAD(&node->buffers);
	node->period = (struct v4l2_fract){ 1, 30 };

	if (output)
		queue->type = mplane ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
	else
		queue->type = mplane ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
	queue->io_modes = VB2_MMAP | VB2_USERPTR | VB2_DMABUF;
	/* videobuf2 has no file I/O for several planes. */
	if (!mplane)
		queue->io_modes |= output ? VB2_WRITE : VB2_READ;
	queue->dev = probe->dev;
	queue->lock = &node->lock;
	queue->ops = &probe_queue_ops;
	queue->mem_ops = mem_ops[probe->kind];
	queue->drv_priv = node;
	queue->buf_struct_size = sizeof(struct probe_buffer);
	queue->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	/* A frame too large for one piece is ENOMEM and no news for the kernel's log. */
	queue->gfp_flags = __GFP_NOWARN;
	queue->allow_cache_hints = 1;
	queue->bidirectional = 1;
	ret = vb2_queue_init(queue);
	if (ret)
		return ret;

	node->format.width = 640;
	node->format.height = 360;
	probe_adjust(node, &node->format);
	ret = probe_ctrls(node);
	if (ret)
		return ret;

	snprintf(vdev->name, sizeof(vdev->name), DRIVER "-%s-%s%s", kind_names[probe->kind],
		 output ? "out" : "cap", mplane ? "-mplane" : "");
	vdev->v4l2_dev = &probe->v4l2_dev;
	vdev->fops = &probe_fops;
	vdev->ioctl_ops = &probe_ioctl_ops;
	vdev->release = video_device_release_empty;
	vdev->vfl_dir = output ? VFL_DIR_TX : VFL_DIR_RX;
	vdev->queue = queue;
	vdev->lock = &node->lock;
	vdev->ctrl_handler = &node->ctrls;
	vdev->device_caps = V4L2_CAP_STREAMING | (mplane ? 0 : V4L2_CAP_READWRITE);
	if (output)
		vdev->device_caps |= mplane ? V4L2_CAP_VIDEO_OUTPUT_MPLANE : V4L2_CAP_VIDEO_OUTPUT;
	else
		vdev->device_caps |= mplane ? V4L2_CAP_VIDEO_CAPTURE_MPLANE : V4L2_CAP_VIDEO_CAPTURE;
	video_set_drvdata(vdev, node);
	return video_register_device(vdev, VFL_TYPE_VIDEO, video_nr);
}

/* Called when the last file of the last node is closed, which may be long after the unbinding. */
static void probe_release(struct v4l2_device *v4l2_dev)
{
	struct probe_device *probe = container_of(v4l2_dev, struct probe_device, v4l2_dev);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probe->nodes); i++)
		v4l2_ctrl_handler_free(&probe->nodes[i].ctrls);
	v4l2_device_unregister(v4l2_dev);
	put_device(probe->dev);
	kfree(probe);
}

static void probe_unbind(void *data)
{
	struct probe_device *probe = data;
	unsigned int i;

	/* Stops what streams; nodes that were never registered are left alone. */
	for (i = 0; i < ARRAY_SIZE(probe->nodes); i++)
		vb2_video_unregister_device(&probe->nodes[i].vdev);
	v4l2_device_disconnect(&probe->v4l2_dev);
	v4l2_device_put(&probe->v4l2_dev);
}

static int probe_bind(struct platform_device *pdev)
{
	struct probe_device *probe;
	unsigned int i;
	int ret;

	/* The CPU reaches all memory, so this "device" does: no bounce buffers, any segment size. */
	ret = dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	probe = kzalloc(sizeof(*probe), GFP_KERNEL);
	if (!probe)
		return -ENOMEM;
	probe->kind = platform_get_device_id(pdev)->driver_data;
	ret = v4l2_device_register(&pdev->dev, &probe->v4l2_dev);
	if (ret) {
		kfree(probe);
		return ret;
	}
	probe->dev = get_device(&pdev->dev);
	probe->v4l2_dev.release = probe_release;
	/* An action instead of .remove, whose type differs between kernels. */
	ret = devm_add_action_or_reset(&pdev->dev, probe_unbind, probe);
	for (i = 0; !ret && i < ARRAY_SIZE(probe->nodes); i++)
		ret = probe_node_init(probe, &probe->nodes[i], i & 2, i & 1);
	return ret;
}

static const struct platform_device_id probe_ids[] = {
	{ DRIVER "-vmalloc", VMALLOC },
	{ DRIVER "-dma-contig", CONTIG },
	{ DRIVER "-dma-sg", SG },
	{ }
};

static struct platform_driver probe_driver = {
	.probe = probe_bind,
	.id_table = probe_ids,
	.driver = { .name = DRIVER },
};

static struct platform_device *probe_devices[N_KINDS];

static void probe_cleanup(void)
{
	unsigned int i;

	for (i = 0; i < N_KINDS; i++)
		platform_device_unregister(probe_devices[i]);
	platform_driver_unregister(&probe_driver);
}

static int probe_add(const char *name)
{
	int kind = match_string(kind_names, N_KINDS, name);
	struct platform_device *pdev;

	if (kind < 0) {
		pr_err(DRIVER ": no allocator is called %s\n", name);
		return -EINVAL;
	}
	if (probe_devices[kind])
		return 0;
	pdev = platform_device_register_simple(probe_ids[kind].name, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	probe_devices[kind] = pdev;
	return 0;
}

static int __init probe_init(void)
{
	int i, ret;

	ret = platform_driver_register(&probe_driver);
	if (ret)
		return ret;
	for (i = 0; !ret && i < n_allocators; i++)
		ret = probe_add(allocators[i]);
	if (ret)
		probe_cleanup();
	return ret;
}

static void __exit probe_exit(void)
{
	probe_cleanup();
}

module_init(probe_init);
module_exit(probe_exit);

MODULE_DESCRIPTION("V4L2 test devices on each videobuf2 allocator");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
/* As MODULE_IMPORT_NS() would, which takes a word on some kernels and a string on others. */
MODULE_INFO(import_ns, "DMA_BUF");
