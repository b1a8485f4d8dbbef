"""The names of v4l2-common.h, videodev2.h that v4l2-python3 lacks or has wrong.

Generated from linux-libc-dev 7.3.4-1~bpo13+1 by tests/abi/generate.py: do not edit.
"""

from __future__ import annotations

from .._base import (
    _IOR,
    _IOW,
    _IOWR,
    _POINTER,
    _char,
    _s32,
    _s64,
    _Structure,
    _u8,
    _u16,
    _u32,
    _u64,
    _ulong,
    _Union,
    _void_p,
    timespec,
    timeval,
)
from .controls import (
    v4l2_ctrl_av1_film_grain,
    v4l2_ctrl_av1_frame,
    v4l2_ctrl_av1_sequence,
    v4l2_ctrl_av1_tile_group_entry,
    v4l2_ctrl_fwht_params,
    v4l2_ctrl_h264_decode_params,
    v4l2_ctrl_h264_pps,
    v4l2_ctrl_h264_pred_weights,
    v4l2_ctrl_h264_scaling_matrix,
    v4l2_ctrl_h264_slice_params,
    v4l2_ctrl_h264_sps,
    v4l2_ctrl_hdr10_cll_info,
    v4l2_ctrl_hdr10_mastering_display,
    v4l2_ctrl_hevc_decode_params,
    v4l2_ctrl_hevc_pps,
    v4l2_ctrl_hevc_scaling_matrix,
    v4l2_ctrl_hevc_slice_params,
    v4l2_ctrl_hevc_sps,
    v4l2_ctrl_mpeg2_picture,
    v4l2_ctrl_mpeg2_quantisation,
    v4l2_ctrl_mpeg2_sequence,
    v4l2_ctrl_vp8_frame,
    v4l2_ctrl_vp9_compressed_hdr,
    v4l2_ctrl_vp9_frame,
)
from .taken import (
    v4l2_captureparm,
    v4l2_dbg_match,
    v4l2_fract,
    v4l2_frmsize_discrete,
    v4l2_outputparm,
    v4l2_plane,
    v4l2_plane_pix_format,
    v4l2_sdr_format,
    v4l2_timecode,
    v4l2_vbi_format,
)

#
# linux/v4l2-common.h
#

V4L2_SEL_TGT_CROP = 0x00
V4L2_SEL_TGT_CROP_DEFAULT = 0x01
V4L2_SEL_TGT_CROP_BOUNDS = 0x02
V4L2_SEL_TGT_NATIVE_SIZE = 0x03
V4L2_SEL_TGT_COMPOSE = 0x100
V4L2_SEL_TGT_COMPOSE_DEFAULT = 0x101
V4L2_SEL_TGT_COMPOSE_BOUNDS = 0x102
V4L2_SEL_TGT_COMPOSE_PADDED = 0x103
V4L2_SEL_FLAG_GE = 0x01
V4L2_SEL_FLAG_LE = 0x02
V4L2_SEL_FLAG_KEEP_CONFIG = 0x04

V4L2_SEL_TGT_CROP_ACTIVE = 0
V4L2_SEL_TGT_COMPOSE_ACTIVE = 0x100
V4L2_SUBDEV_SEL_TGT_CROP_ACTUAL = 0
V4L2_SUBDEV_SEL_TGT_COMPOSE_ACTUAL = 0x100
V4L2_SUBDEV_SEL_TGT_CROP_BOUNDS = 2
V4L2_SUBDEV_SEL_TGT_COMPOSE_BOUNDS = 0x102
V4L2_SUBDEV_SEL_FLAG_SIZE_GE = 1
V4L2_SUBDEV_SEL_FLAG_SIZE_LE = 2
V4L2_SUBDEV_SEL_FLAG_KEEP_CONFIG = 4


class v4l2_edid(_Structure):
    """``struct v4l2_edid``, v4l2-common.h"""

    _fields_ = (
        ("pad", _u32),
        ("start_block", _u32),
        ("blocks", _u32),
        ("reserved", _u32 * 5),
        ("edid", _POINTER(_u8)),
    )


#
# linux/videodev2.h
#

# enum v4l2_buf_type
V4L2_BUF_TYPE_META_OUTPUT = 14

# enum v4l2_tuner_type
V4L2_TUNER_SDR = 4
V4L2_TUNER_RF = 5

V4L2_TUNER_ADC = 4

# enum v4l2_colorspace
V4L2_COLORSPACE_OPRGB = 9

# enum v4l2_xfer_func
V4L2_XFER_FUNC_DEFAULT = 0
V4L2_XFER_FUNC_709 = 1
V4L2_XFER_FUNC_SRGB = 2
V4L2_XFER_FUNC_OPRGB = 3
V4L2_XFER_FUNC_SMPTE240M = 4
V4L2_XFER_FUNC_NONE = 5
V4L2_XFER_FUNC_DCI_P3 = 6
V4L2_XFER_FUNC_SMPTE2084 = 7

# enum v4l2_ycbcr_encoding
V4L2_YCBCR_ENC_DEFAULT = 0
V4L2_YCBCR_ENC_601 = 1
V4L2_YCBCR_ENC_709 = 2
V4L2_YCBCR_ENC_XV601 = 3
V4L2_YCBCR_ENC_XV709 = 4

V4L2_YCBCR_ENC_SYCC = 5
V4L2_YCBCR_ENC_BT2020 = 6
V4L2_YCBCR_ENC_BT2020_CONST_LUM = 7
V4L2_YCBCR_ENC_SMPTE240M = 8

# enum v4l2_hsv_encoding
V4L2_HSV_ENC_180 = 128
V4L2_HSV_ENC_256 = 129

# enum v4l2_quantization
V4L2_QUANTIZATION_DEFAULT = 0
V4L2_QUANTIZATION_FULL_RANGE = 1
V4L2_QUANTIZATION_LIM_RANGE = 2

V4L2_XFER_FUNC_ADOBERGB = 3

V4L2_CAP_EDID = 0x2000000
V4L2_CAP_META_OUTPUT = 0x8000000

V4L2_CAP_IO_MC = 0x20000000

V4L2_PIX_FMT_ARGB444 = 0x32315241  # 'AR12'
V4L2_PIX_FMT_XRGB444 = 0x32315258  # 'XR12'
V4L2_PIX_FMT_RGBA444 = 0x32314152  # 'RA12'
V4L2_PIX_FMT_RGBX444 = 0x32315852  # 'RX12'
V4L2_PIX_FMT_ABGR444 = 0x32314241  # 'AB12'
V4L2_PIX_FMT_XBGR444 = 0x32314258  # 'XB12'
V4L2_PIX_FMT_BGRA444 = 0x32314147  # 'GA12'
V4L2_PIX_FMT_BGRX444 = 0x32315842  # 'BX12'
V4L2_PIX_FMT_ARGB555 = 0x35315241  # 'AR15'
V4L2_PIX_FMT_XRGB555 = 0x35315258  # 'XR15'
V4L2_PIX_FMT_RGBA555 = 0x35314152  # 'RA15'
V4L2_PIX_FMT_RGBX555 = 0x35315852  # 'RX15'
V4L2_PIX_FMT_ABGR555 = 0x35314241  # 'AB15'
V4L2_PIX_FMT_XBGR555 = 0x35314258  # 'XB15'
V4L2_PIX_FMT_BGRA555 = 0x35314142  # 'BA15'
V4L2_PIX_FMT_BGRX555 = 0x35315842  # 'BX15'
V4L2_PIX_FMT_ARGB555X = 0xB5315241  # 'AR15' big endian
V4L2_PIX_FMT_XRGB555X = 0xB5315258  # 'XR15' big endian

V4L2_PIX_FMT_BGR666 = 0x48524742  # 'BGRH'

V4L2_PIX_FMT_ABGR32 = 0x34325241  # 'AR24'
V4L2_PIX_FMT_XBGR32 = 0x34325258  # 'XR24'
V4L2_PIX_FMT_BGRA32 = 0x34324152  # 'RA24'
V4L2_PIX_FMT_BGRX32 = 0x34325852  # 'RX24'

V4L2_PIX_FMT_ARGB32 = 0x34324142  # 'BA24'
V4L2_PIX_FMT_RGBX1010102 = 0x30335852  # 'RX30'
V4L2_PIX_FMT_RGBA1010102 = 0x30334152  # 'RA30'
V4L2_PIX_FMT_ARGB2101010 = 0x30335241  # 'AR30'
V4L2_PIX_FMT_BGR48_12 = 0x32313342  # 'B312'
V4L2_PIX_FMT_BGR48 = 0x36524742  # 'BGR6'
V4L2_PIX_FMT_RGB48 = 0x36424752  # 'RGB6'
V4L2_PIX_FMT_ABGR64_12 = 0x32313442  # 'B412'

V4L2_PIX_FMT_Y4 = 0x20343059  # 'Y04 '
V4L2_PIX_FMT_Y6 = 0x20363059  # 'Y06 '
V4L2_PIX_FMT_Y12 = 0x20323159  # 'Y12 '
V4L2_PIX_FMT_Y012 = 0x32313059  # 'Y012'
V4L2_PIX_FMT_Y14 = 0x20343159  # 'Y14 '
V4L2_PIX_FMT_Y16_BE = 0xA0363159  # 'Y16 ' big endian
V4L2_PIX_FMT_Y10BPACK = 0x42303159  # 'Y10B'
V4L2_PIX_FMT_Y10P = 0x50303159  # 'Y10P'
V4L2_PIX_FMT_IPU3_Y10 = 0x79337069  # 'ip3y'
V4L2_PIX_FMT_Y12P = 0x50323159  # 'Y12P'
V4L2_PIX_FMT_Y14P = 0x50343159  # 'Y14P'

V4L2_PIX_FMT_UV8 = 0x20385655  # 'UV8 '

V4L2_PIX_FMT_YUV24 = 0x33565559  # 'YUV3'
V4L2_PIX_FMT_AYUV32 = 0x56555941  # 'AYUV'
V4L2_PIX_FMT_XYUV32 = 0x56555958  # 'XYUV'
V4L2_PIX_FMT_VUYA32 = 0x41595556  # 'VUYA'
V4L2_PIX_FMT_VUYX32 = 0x58595556  # 'VUYX'
V4L2_PIX_FMT_YUVA32 = 0x41565559  # 'YUVA'
V4L2_PIX_FMT_YUVX32 = 0x58565559  # 'YUVX'
V4L2_PIX_FMT_M420 = 0x3032344D  # 'M420'
V4L2_PIX_FMT_YUV48_12 = 0x32313359  # 'Y312'

V4L2_PIX_FMT_Y210 = 0x30313259  # 'Y210'
V4L2_PIX_FMT_Y212 = 0x32313259  # 'Y212'
V4L2_PIX_FMT_Y216 = 0x36313259  # 'Y216'

V4L2_PIX_FMT_NV15 = 0x3531564E  # 'NV15'
V4L2_PIX_FMT_NV20 = 0x3032564E  # 'NV20'
V4L2_PIX_FMT_NV24 = 0x3432564E  # 'NV24'
V4L2_PIX_FMT_NV42 = 0x3234564E  # 'NV42'
V4L2_PIX_FMT_P010 = 0x30313050  # 'P010'
V4L2_PIX_FMT_P012 = 0x32313050  # 'P012'
V4L2_PIX_FMT_NV12M = 0x32314D4E  # 'NM12'
V4L2_PIX_FMT_NV21M = 0x31324D4E  # 'NM21'
V4L2_PIX_FMT_NV16M = 0x36314D4E  # 'NM16'
V4L2_PIX_FMT_NV61M = 0x31364D4E  # 'NM61'
V4L2_PIX_FMT_P012M = 0x32314D50  # 'PM12'

V4L2_PIX_FMT_YUV420M = 0x32314D59  # 'YM12'
V4L2_PIX_FMT_YVU420M = 0x31324D59  # 'YM21'
V4L2_PIX_FMT_YUV422M = 0x36314D59  # 'YM16'
V4L2_PIX_FMT_YVU422M = 0x31364D59  # 'YM61'
V4L2_PIX_FMT_YUV444M = 0x34324D59  # 'YM24'
V4L2_PIX_FMT_YVU444M = 0x32344D59  # 'YM42'
V4L2_PIX_FMT_NV12_4L4 = 0x32315456  # 'VT12'
V4L2_PIX_FMT_NV12_16L16 = 0x32314D48  # 'HM12'
V4L2_PIX_FMT_NV12_32L32 = 0x32315453  # 'ST12'
V4L2_PIX_FMT_NV15_4L4 = 0x35315456  # 'VT15'
V4L2_PIX_FMT_P010_4L4 = 0x30313054  # 'T010'
V4L2_PIX_FMT_NV12_8L128 = 0x32315441  # 'AT12'
V4L2_PIX_FMT_NV12_10BE_8L128 = 0xB2315841  # 'AX12' big endian
V4L2_PIX_FMT_NV12MT = 0x32314D54  # 'TM12'
V4L2_PIX_FMT_NV12MT_16X16 = 0x32314D56  # 'VM12'
V4L2_PIX_FMT_NV12M_8L128 = 0x3231414E  # 'NA12'
V4L2_PIX_FMT_NV12M_10BE_8L128 = 0xB231544E  # 'NT12' big endian

V4L2_PIX_FMT_SBGGR10P = 0x41414270  # 'pBAA'
V4L2_PIX_FMT_SGBRG10P = 0x41414770  # 'pGAA'
V4L2_PIX_FMT_SGRBG10P = 0x41416770  # 'pgAA'
V4L2_PIX_FMT_SRGGB10P = 0x41415270  # 'pRAA'
V4L2_PIX_FMT_SBGGR10ALAW8 = 0x38414261  # 'aBA8'
V4L2_PIX_FMT_SGBRG10ALAW8 = 0x38414761  # 'aGA8'
V4L2_PIX_FMT_SGRBG10ALAW8 = 0x38416761  # 'agA8'
V4L2_PIX_FMT_SRGGB10ALAW8 = 0x38415261  # 'aRA8'
V4L2_PIX_FMT_SBGGR10DPCM8 = 0x38414262  # 'bBA8'
V4L2_PIX_FMT_SGBRG10DPCM8 = 0x38414762  # 'bGA8'
V4L2_PIX_FMT_SRGGB10DPCM8 = 0x38415262  # 'bRA8'
V4L2_PIX_FMT_SBGGR12 = 0x32314742  # 'BG12'
V4L2_PIX_FMT_SGBRG12 = 0x32314247  # 'GB12'
V4L2_PIX_FMT_SGRBG12 = 0x32314142  # 'BA12'
V4L2_PIX_FMT_SRGGB12 = 0x32314752  # 'RG12'
V4L2_PIX_FMT_SBGGR12P = 0x43434270  # 'pBCC'
V4L2_PIX_FMT_SGBRG12P = 0x43434770  # 'pGCC'
V4L2_PIX_FMT_SGRBG12P = 0x43436770  # 'pgCC'
V4L2_PIX_FMT_SRGGB12P = 0x43435270  # 'pRCC'
V4L2_PIX_FMT_SBGGR14 = 0x34314742  # 'BG14'
V4L2_PIX_FMT_SGBRG14 = 0x34314247  # 'GB14'
V4L2_PIX_FMT_SGRBG14 = 0x34315247  # 'GR14'
V4L2_PIX_FMT_SRGGB14 = 0x34314752  # 'RG14'
V4L2_PIX_FMT_SBGGR14P = 0x45454270  # 'pBEE'
V4L2_PIX_FMT_SGBRG14P = 0x45454770  # 'pGEE'
V4L2_PIX_FMT_SGRBG14P = 0x45456770  # 'pgEE'
V4L2_PIX_FMT_SRGGB14P = 0x45455270  # 'pREE'
V4L2_PIX_FMT_SGBRG16 = 0x36314247  # 'GB16'
V4L2_PIX_FMT_SGRBG16 = 0x36315247  # 'GR16'
V4L2_PIX_FMT_SRGGB16 = 0x36314752  # 'RG16'
V4L2_PIX_FMT_HSV24 = 0x33565348  # 'HSV3'
V4L2_PIX_FMT_HSV32 = 0x34565348  # 'HSV4'

V4L2_PIX_FMT_H264_NO_SC = 0x31435641  # 'AVC1'
V4L2_PIX_FMT_H264_MVC = 0x3436324D  # 'M264'
V4L2_PIX_FMT_H263 = 0x33363248  # 'H263'
V4L2_PIX_FMT_MPEG1 = 0x3147504D  # 'MPG1'
V4L2_PIX_FMT_MPEG2 = 0x3247504D  # 'MPG2'
V4L2_PIX_FMT_MPEG2_SLICE = 0x5332474D  # 'MG2S'
V4L2_PIX_FMT_MPEG4 = 0x3447504D  # 'MPG4'
V4L2_PIX_FMT_XVID = 0x44495658  # 'XVID'
V4L2_PIX_FMT_VC1_ANNEX_G = 0x47314356  # 'VC1G'
V4L2_PIX_FMT_VC1_ANNEX_L = 0x4C314356  # 'VC1L'
V4L2_PIX_FMT_VP8 = 0x30385056  # 'VP80'
V4L2_PIX_FMT_VP8_FRAME = 0x46385056  # 'VP8F'
V4L2_PIX_FMT_VP9 = 0x30395056  # 'VP90'
V4L2_PIX_FMT_VP9_FRAME = 0x46395056  # 'VP9F'
V4L2_PIX_FMT_HEVC = 0x43564548  # 'HEVC'
V4L2_PIX_FMT_FWHT = 0x54485746  # 'FWHT'
V4L2_PIX_FMT_FWHT_STATELESS = 0x48574653  # 'SFWH'
V4L2_PIX_FMT_H264_SLICE = 0x34363253  # 'S264'
V4L2_PIX_FMT_HEVC_SLICE = 0x35363253  # 'S265'
V4L2_PIX_FMT_AV1_FRAME = 0x46315641  # 'AV1F'
V4L2_PIX_FMT_AV1 = 0x31305641  # 'AV01'
V4L2_PIX_FMT_SPK = 0x304B5053  # 'SPK0'
V4L2_PIX_FMT_RV30 = 0x30335652  # 'RV30'
V4L2_PIX_FMT_RV40 = 0x30345652  # 'RV40'

V4L2_PIX_FMT_JL2005BCD = 0x30324C4A  # 'JL20'

V4L2_PIX_FMT_TM6000 = 0x30364D54  # 'TM60'
V4L2_PIX_FMT_CIT_YYVYUY = 0x56544943  # 'CITV'
V4L2_PIX_FMT_KONICA420 = 0x494E4F4B  # 'KONI'
V4L2_PIX_FMT_JPGL = 0x4C47504A  # 'JPGL'
V4L2_PIX_FMT_SE401 = 0x31303453  # 'S401'
V4L2_PIX_FMT_S5C_UYVY_JPG = 0x49433553  # 'S5CI'
V4L2_PIX_FMT_Y8I = 0x20493859  # 'Y8I '
V4L2_PIX_FMT_Y12I = 0x49323159  # 'Y12I'
V4L2_PIX_FMT_Y16I = 0x49363159  # 'Y16I'
V4L2_PIX_FMT_Z16 = 0x2036315A  # 'Z16 '
V4L2_PIX_FMT_MT21C = 0x3132544D  # 'MT21'
V4L2_PIX_FMT_MM21 = 0x31324D4D  # 'MM21'
V4L2_PIX_FMT_MT2110T = 0x5432544D  # 'MT2T'
V4L2_PIX_FMT_MT2110R = 0x5232544D  # 'MT2R'
V4L2_PIX_FMT_INZI = 0x495A4E49  # 'INZI'
V4L2_PIX_FMT_CNF4 = 0x34464E43  # 'CNF4'
V4L2_PIX_FMT_QC08C = 0x43383051  # 'Q08C'
V4L2_PIX_FMT_QC10C = 0x43303151  # 'Q10C'
V4L2_PIX_FMT_AJPG = 0x47504A41  # 'AJPG'
V4L2_PIX_FMT_HEXTILE = 0x4C545848  # 'HXTL'
V4L2_PIX_FMT_IPU3_SBGGR10 = 0x62337069  # 'ip3b'
V4L2_PIX_FMT_IPU3_SGBRG10 = 0x67337069  # 'ip3g'
V4L2_PIX_FMT_IPU3_SGRBG10 = 0x47337069  # 'ip3G'
V4L2_PIX_FMT_IPU3_SRGGB10 = 0x72337069  # 'ip3r'
V4L2_PIX_FMT_PISP_COMP1_RGGB = 0x52314350  # 'PC1R'
V4L2_PIX_FMT_PISP_COMP1_GRBG = 0x47314350  # 'PC1G'
V4L2_PIX_FMT_PISP_COMP1_GBRG = 0x67314350  # 'PC1g'
V4L2_PIX_FMT_PISP_COMP1_BGGR = 0x42314350  # 'PC1B'
V4L2_PIX_FMT_PISP_COMP1_MONO = 0x4D314350  # 'PC1M'
V4L2_PIX_FMT_PISP_COMP2_RGGB = 0x52324350  # 'PC2R'
V4L2_PIX_FMT_PISP_COMP2_GRBG = 0x47324350  # 'PC2G'
V4L2_PIX_FMT_PISP_COMP2_GBRG = 0x67324350  # 'PC2g'
V4L2_PIX_FMT_PISP_COMP2_BGGR = 0x42324350  # 'PC2B'
V4L2_PIX_FMT_PISP_COMP2_MONO = 0x4D324350  # 'PC2M'
V4L2_PIX_FMT_RAW_CRU10 = 0x30315243  # 'CR10'
V4L2_PIX_FMT_RAW_CRU12 = 0x32315243  # 'CR12'
V4L2_PIX_FMT_RAW_CRU14 = 0x34315243  # 'CR14'
V4L2_PIX_FMT_RAW_CRU20 = 0x30325243  # 'CR20'
V4L2_SDR_FMT_CU8 = 0x38305543  # 'CU08'
V4L2_SDR_FMT_CU16LE = 0x36315543  # 'CU16'
V4L2_SDR_FMT_CS8 = 0x38305343  # 'CS08'
V4L2_SDR_FMT_CS14LE = 0x34315343  # 'CS14'
V4L2_SDR_FMT_RU12LE = 0x32315552  # 'RU12'
V4L2_SDR_FMT_PCU16BE = 0x36314350  # 'PC16'
V4L2_SDR_FMT_PCU18BE = 0x38314350  # 'PC18'
V4L2_SDR_FMT_PCU20BE = 0x30324350  # 'PC20'
V4L2_TCH_FMT_DELTA_TD16 = 0x36314454  # 'TD16'
V4L2_TCH_FMT_DELTA_TD08 = 0x38304454  # 'TD08'
V4L2_TCH_FMT_TU16 = 0x36315554  # 'TU16'
V4L2_TCH_FMT_TU08 = 0x38305554  # 'TU08'
V4L2_META_FMT_VSP1_HGO = 0x48505356  # 'VSPH'
V4L2_META_FMT_VSP1_HGT = 0x54505356  # 'VSPT'
V4L2_META_FMT_UVC = 0x48435655  # 'UVCH'
V4L2_META_FMT_D4XX = 0x58583444  # 'D4XX'
V4L2_META_FMT_UVC_MSXU_1_5 = 0x4D435655  # 'UVCM'
V4L2_META_FMT_VIVID = 0x44564956  # 'VIVD'
V4L2_META_FMT_RK_ISP1_PARAMS = 0x50314B52  # 'RK1P'
V4L2_META_FMT_RK_ISP1_STAT_3A = 0x53314B52  # 'RK1S'
V4L2_META_FMT_RK_ISP1_EXT_PARAMS = 0x45314B52  # 'RK1E'
V4L2_META_FMT_C3ISP_PARAMS = 0x4D503343  # 'C3PM'
V4L2_META_FMT_C3ISP_STATS = 0x54533343  # 'C3ST'
V4L2_META_FMT_RPI_BE_CFG = 0x43425052  # 'RPBC'
V4L2_META_FMT_RPI_FE_CFG = 0x43465052  # 'RPFC'
V4L2_META_FMT_RPI_FE_STATS = 0x53465052  # 'RPFS'
V4L2_META_FMT_MALI_C55_PARAMS = 0x50353543  # 'C55P'
V4L2_META_FMT_MALI_C55_STATS = 0x53353543  # 'C55S'
V4L2_META_FMT_RPPX1_PARAMS = 0x50315244  # 'DR1P'
V4L2_META_FMT_RPPX1_STATS = 0x53315244  # 'DR1S'

V4L2_PIX_FMT_PRIV_MAGIC = 0xFEEDCAFE
V4L2_PIX_FMT_FLAG_PREMUL_ALPHA = 0x01
V4L2_PIX_FMT_FLAG_SET_CSC = 0x02

V4L2_FMT_FLAG_CONTINUOUS_BYTESTREAM = 0x04
V4L2_FMT_FLAG_DYN_RESOLUTION = 0x08
V4L2_FMT_FLAG_ENC_CAP_FRAME_INTERVAL = 0x10
V4L2_FMT_FLAG_CSC_COLORSPACE = 0x20
V4L2_FMT_FLAG_CSC_XFER_FUNC = 0x40
V4L2_FMT_FLAG_CSC_YCBCR_ENC = 0x80
V4L2_FMT_FLAG_CSC_HSV_ENC = 128
V4L2_FMT_FLAG_CSC_QUANTIZATION = 0x100
V4L2_FMT_FLAG_META_LINE_BASED = 0x200
V4L2_FMTDESC_FLAG_ENUM_ALL = 0x80000000

V4L2_MEMORY_FLAG_NON_COHERENT = 0x01
V4L2_BUF_CAP_SUPPORTS_MMAP = 0x01
V4L2_BUF_CAP_SUPPORTS_USERPTR = 0x02
V4L2_BUF_CAP_SUPPORTS_DMABUF = 0x04
V4L2_BUF_CAP_SUPPORTS_REQUESTS = 0x08
V4L2_BUF_CAP_SUPPORTS_ORPHANED_BUFS = 0x10
V4L2_BUF_CAP_SUPPORTS_M2M_HOLD_CAPTURE_BUF = 0x20
V4L2_BUF_CAP_SUPPORTS_MMAP_CACHE_HINTS = 0x40
V4L2_BUF_CAP_SUPPORTS_MAX_NUM_BUFFERS = 0x80
V4L2_BUF_CAP_SUPPORTS_REMOVE_BUFS = 0x100

V4L2_BUF_FLAG_ERROR = 0x40
V4L2_BUF_FLAG_IN_REQUEST = 0x80

V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF = 0x200
V4L2_BUF_FLAG_PREPARED = 0x400
V4L2_BUF_FLAG_NO_CACHE_INVALIDATE = 0x800
V4L2_BUF_FLAG_NO_CACHE_CLEAN = 0x1000
V4L2_BUF_FLAG_TIMESTAMP_MASK = 0xE000
V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN = 0x00
V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC = 0x2000
V4L2_BUF_FLAG_TIMESTAMP_COPY = 0x4000
V4L2_BUF_FLAG_TSTAMP_SRC_MASK = 0x70000
V4L2_BUF_FLAG_TSTAMP_SRC_EOF = 0x00
V4L2_BUF_FLAG_TSTAMP_SRC_SOE = 0x10000
V4L2_BUF_FLAG_LAST = 0x100000
V4L2_BUF_FLAG_REQUEST_FD = 0x800000

V4L2_STD_G = 0x40004
V4L2_STD_H = 0x80008
V4L2_STD_L = 0xC00000

V4L2_STD_BG = 0x50007

V4L2_STD_MTS = 0x1700

V4L2_DV_BT_STD_CEA861 = 0x01
V4L2_DV_BT_STD_DMT = 0x02
V4L2_DV_BT_STD_CVT = 0x04
V4L2_DV_BT_STD_GTF = 0x08
V4L2_DV_BT_STD_SDI = 0x10

V4L2_DV_FL_REDUCED_BLANKING = 0x01

V4L2_DV_FL_CAN_REDUCE_FPS = 0x02

V4L2_DV_FL_REDUCED_FPS = 0x04

V4L2_DV_FL_HALF_LINE = 0x08

V4L2_DV_FL_IS_CE_VIDEO = 0x10

V4L2_DV_FL_FIRST_FIELD_EXTRA_LINE = 0x20

V4L2_DV_FL_HAS_PICTURE_ASPECT = 0x40

V4L2_DV_FL_HAS_CEA861_VIC = 0x80

V4L2_DV_FL_HAS_HDMI_VIC = 0x100

V4L2_DV_FL_CAN_DETECT_REDUCED_FPS = 0x200

V4L2_DV_BT_CAP_INTERLACED = 0x01
V4L2_DV_BT_CAP_PROGRESSIVE = 0x02
V4L2_DV_BT_CAP_REDUCED_BLANKING = 0x04
V4L2_DV_BT_CAP_CUSTOM = 0x08

V4L2_INPUT_TYPE_TOUCH = 3

V4L2_IN_ST_NO_V_LOCK = 0x400
V4L2_IN_ST_NO_STD_LOCK = 0x800

V4L2_IN_CAP_DV_TIMINGS = 0x02
V4L2_IN_CAP_NATIVE_SIZE = 0x08

V4L2_OUT_CAP_DV_TIMINGS = 0x02
V4L2_OUT_CAP_NATIVE_SIZE = 0x08

V4L2_CTRL_ID_MASK = 0xFFFFFFF

V4L2_CTRL_WHICH_CUR_VAL = 0
V4L2_CTRL_WHICH_DEF_VAL = 0xF000000
V4L2_CTRL_WHICH_REQUEST_VAL = 0xF010000
V4L2_CTRL_WHICH_MIN_VAL = 0xF020000
V4L2_CTRL_WHICH_MAX_VAL = 0xF030000

# enum v4l2_ctrl_type
V4L2_CTRL_TYPE_AREA = 0x106
V4L2_CTRL_TYPE_RECT = 0x107
V4L2_CTRL_TYPE_HDR10_CLL_INFO = 0x110
V4L2_CTRL_TYPE_HDR10_MASTERING_DISPLAY = 0x111
V4L2_CTRL_TYPE_H264_SPS = 0x200
V4L2_CTRL_TYPE_H264_PPS = 0x201
V4L2_CTRL_TYPE_H264_SCALING_MATRIX = 0x202
V4L2_CTRL_TYPE_H264_SLICE_PARAMS = 0x203
V4L2_CTRL_TYPE_H264_DECODE_PARAMS = 0x204
V4L2_CTRL_TYPE_H264_PRED_WEIGHTS = 0x205
V4L2_CTRL_TYPE_FWHT_PARAMS = 0x220
V4L2_CTRL_TYPE_VP8_FRAME = 0x240
V4L2_CTRL_TYPE_MPEG2_QUANTISATION = 0x250
V4L2_CTRL_TYPE_MPEG2_SEQUENCE = 0x251
V4L2_CTRL_TYPE_MPEG2_PICTURE = 0x252
V4L2_CTRL_TYPE_VP9_COMPRESSED_HDR = 0x260
V4L2_CTRL_TYPE_VP9_FRAME = 0x261
V4L2_CTRL_TYPE_HEVC_SPS = 0x270
V4L2_CTRL_TYPE_HEVC_PPS = 0x271
V4L2_CTRL_TYPE_HEVC_SLICE_PARAMS = 0x272
V4L2_CTRL_TYPE_HEVC_SCALING_MATRIX = 0x273
V4L2_CTRL_TYPE_HEVC_DECODE_PARAMS = 0x274
V4L2_CTRL_TYPE_HEVC_EXT_SPS_ST_RPS = 0x275
V4L2_CTRL_TYPE_HEVC_EXT_SPS_LT_RPS = 0x276
V4L2_CTRL_TYPE_AV1_SEQUENCE = 0x280
V4L2_CTRL_TYPE_AV1_TILE_GROUP_ENTRY = 0x281
V4L2_CTRL_TYPE_AV1_FRAME = 0x282
V4L2_CTRL_TYPE_AV1_FILM_GRAIN = 0x283

V4L2_CTRL_FLAG_DYNAMIC_ARRAY = 0x800
V4L2_CTRL_FLAG_HAS_WHICH_MIN_MAX = 0x1000

V4L2_CID_MAX_CTRLS = 0x400

V4L2_TUNER_CAP_HWSEEK_BOUNDED = 0x04
V4L2_TUNER_CAP_HWSEEK_WRAP = 0x08

V4L2_TUNER_CAP_RDS_BLOCK_IO = 0x100
V4L2_TUNER_CAP_RDS_CONTROLS = 0x200
V4L2_TUNER_CAP_FREQ_BANDS = 0x400
V4L2_TUNER_CAP_HWSEEK_PROG_LIM = 0x800
V4L2_TUNER_CAP_1HZ = 0x1000

V4L2_BAND_MODULATION_VSB = 0x02
V4L2_BAND_MODULATION_FM = 0x04
V4L2_BAND_MODULATION_AM = 0x08

V4L2_DEC_CMD_START = 0
V4L2_DEC_CMD_STOP = 1
V4L2_DEC_CMD_PAUSE = 2
V4L2_DEC_CMD_RESUME = 3
V4L2_DEC_CMD_FLUSH = 4
V4L2_DEC_CMD_START_MUTE_AUDIO = 0x01
V4L2_DEC_CMD_PAUSE_TO_BLACK = 0x01
V4L2_DEC_CMD_STOP_TO_BLACK = 0x01
V4L2_DEC_CMD_STOP_IMMEDIATELY = 0x02

V4L2_DEC_START_FMT_NONE = 0
V4L2_DEC_START_FMT_GOP = 1

V4L2_VBI_ITU_525_F1_START = 1
V4L2_VBI_ITU_525_F2_START = 0x108
V4L2_VBI_ITU_625_F1_START = 1
V4L2_VBI_ITU_625_F2_START = 0x13A

V4L2_MPEG_VBI_IVTV_MAGIC0 = b"itv0"
V4L2_MPEG_VBI_IVTV_MAGIC1 = b"ITV0"

V4L2_EVENT_ALL = 0
V4L2_EVENT_VSYNC = 1
V4L2_EVENT_EOS = 2
V4L2_EVENT_CTRL = 3
V4L2_EVENT_FRAME_SYNC = 4
V4L2_EVENT_SOURCE_CHANGE = 5
V4L2_EVENT_MOTION_DET = 6
V4L2_EVENT_PRIVATE_START = 0x8000000

V4L2_EVENT_CTRL_CH_VALUE = 0x01
V4L2_EVENT_CTRL_CH_FLAGS = 0x02
V4L2_EVENT_CTRL_CH_RANGE = 0x04
V4L2_EVENT_CTRL_CH_DIMENSIONS = 0x08

V4L2_EVENT_SRC_CH_RESOLUTION = 0x01

V4L2_EVENT_MD_FL_HAVE_FRAME_SEQ = 0x01

V4L2_EVENT_SUB_FL_SEND_INITIAL = 0x01
V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK = 0x02

V4L2_CHIP_MATCH_BRIDGE = 0
V4L2_CHIP_MATCH_SUBDEV = 4

V4L2_CHIP_FL_READABLE = 0x01
V4L2_CHIP_FL_WRITABLE = 0x02

V4L2_PIX_FMT_SUNXI_TILED_NV12 = 0x32315453


class v4l2_rect(_Structure):
    """``struct v4l2_rect``, videodev2.h"""

    _fields_ = (
        ("left", _s32),
        ("top", _s32),
        ("width", _u32),
        ("height", _u32),
    )


class v4l2_area(_Structure):
    """``struct v4l2_area``, videodev2.h"""

    _fields_ = (
        ("width", _u32),
        ("height", _u32),
    )


class v4l2_capability(_Structure):
    """``struct v4l2_capability``, videodev2.h"""

    _fields_ = (
        ("driver", _u8 * 16),
        ("card", _u8 * 32),
        ("bus_info", _u8 * 32),
        ("version", _u32),
        ("capabilities", _u32),
        ("device_caps", _u32),
        ("reserved", _u32 * 3),
    )


class v4l2_pix_format(_Structure):
    """``struct v4l2_pix_format``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("ycbcr_enc", _u32),
            ("hsv_enc", _u32),
        )

    _anonymous_ = ("_u",)
    _fields_ = (
        ("width", _u32),
        ("height", _u32),
        ("pixelformat", _u32),
        ("field", _u32),
        ("bytesperline", _u32),
        ("sizeimage", _u32),
        ("colorspace", _u32),
        ("priv", _u32),
        ("flags", _u32),
        ("_u", _u_t),
        ("quantization", _u32),
        ("xfer_func", _u32),
    )


class v4l2_fmtdesc(_Structure):
    """``struct v4l2_fmtdesc``, videodev2.h"""

    _fields_ = (
        ("index", _u32),
        ("type", _u32),
        ("flags", _u32),
        ("description", _u8 * 32),
        ("pixelformat", _u32),
        ("mbus_code", _u32),
        ("reserved", _u32 * 3),
    )


class v4l2_frmsize_stepwise(_Structure):
    """``struct v4l2_frmsize_stepwise``, videodev2.h"""

    _fields_ = (
        ("min_width", _u32),
        ("max_width", _u32),
        ("step_width", _u32),
        ("min_height", _u32),
        ("max_height", _u32),
        ("step_height", _u32),
    )


class v4l2_frmsizeenum(_Structure):
    """``struct v4l2_frmsizeenum``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("discrete", v4l2_frmsize_discrete),
            ("stepwise", v4l2_frmsize_stepwise),
        )

    _anonymous_ = ("_u",)
    _fields_ = (
        ("index", _u32),
        ("pixel_format", _u32),
        ("type", _u32),
        ("_u", _u_t),
        ("reserved", _u32 * 2),
    )


class v4l2_jpegcompression(_Structure):
    """``struct v4l2_jpegcompression``, videodev2.h"""

    _fields_ = (
        ("quality", _s32),
        ("APPn", _s32),
        ("APP_len", _s32),
        ("APP_data", _u8 * 60),
        ("COM_len", _s32),
        ("COM_data", _u8 * 60),
        ("jpeg_markers", _u32),
    )


class v4l2_requestbuffers(_Structure):
    """``struct v4l2_requestbuffers``, videodev2.h"""

    _fields_ = (
        ("count", _u32),
        ("type", _u32),
        ("memory", _u32),
        ("capabilities", _u32),
        ("flags", _u8),
        ("reserved", _u8 * 3),
    )


class v4l2_buffer(_Structure):
    """``struct v4l2_buffer``, videodev2.h"""

    class _m_t(_Union):
        _fields_ = (
            ("offset", _u32),
            ("userptr", _ulong),
            ("planes", _POINTER(v4l2_plane)),
            ("fd", _s32),
        )

    class _u_t(_Union):
        _fields_ = (
            ("request_fd", _s32),
            ("reserved", _u32),
        )

    _anonymous_ = ("_u",)
    _fields_ = (
        ("index", _u32),
        ("type", _u32),
        ("bytesused", _u32),
        ("flags", _u32),
        ("field", _u32),
        ("timestamp", timeval),
        ("timecode", v4l2_timecode),
        ("sequence", _u32),
        ("memory", _u32),
        ("m", _m_t),
        ("length", _u32),
        ("reserved2", _u32),
        ("_u", _u_t),
    )


class v4l2_exportbuffer(_Structure):
    """``struct v4l2_exportbuffer``, videodev2.h"""

    _fields_ = (
        ("type", _u32),
        ("index", _u32),
        ("plane", _u32),
        ("flags", _u32),
        ("fd", _s32),
        ("reserved", _u32 * 11),
    )


class v4l2_clip(_Structure):
    """``struct v4l2_clip``, videodev2.h"""


v4l2_clip._fields_ = (
    ("c", v4l2_rect),
    ("next", _POINTER(v4l2_clip)),
)


class v4l2_window(_Structure):
    """``struct v4l2_window``, videodev2.h"""

    _fields_ = (
        ("w", v4l2_rect),
        ("field", _u32),
        ("chromakey", _u32),
        ("clips", _POINTER(v4l2_clip)),
        ("clipcount", _u32),
        ("bitmap", _void_p),
        ("global_alpha", _u8),
    )


class v4l2_cropcap(_Structure):
    """``struct v4l2_cropcap``, videodev2.h"""

    _fields_ = (
        ("type", _u32),
        ("bounds", v4l2_rect),
        ("defrect", v4l2_rect),
        ("pixelaspect", v4l2_fract),
    )


class v4l2_crop(_Structure):
    """``struct v4l2_crop``, videodev2.h"""

    _fields_ = (
        ("type", _u32),
        ("c", v4l2_rect),
    )


class v4l2_selection(_Structure):
    """``struct v4l2_selection``, videodev2.h"""

    _fields_ = (
        ("type", _u32),
        ("target", _u32),
        ("flags", _u32),
        ("r", v4l2_rect),
        ("reserved", _u32 * 9),
    )


class v4l2_bt_timings(_Structure):
    """``struct v4l2_bt_timings``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("width", _u32),
        ("height", _u32),
        ("interlaced", _u32),
        ("polarities", _u32),
        ("pixelclock", _u64),
        ("hfrontporch", _u32),
        ("hsync", _u32),
        ("hbackporch", _u32),
        ("vfrontporch", _u32),
        ("vsync", _u32),
        ("vbackporch", _u32),
        ("il_vfrontporch", _u32),
        ("il_vsync", _u32),
        ("il_vbackporch", _u32),
        ("standards", _u32),
        ("flags", _u32),
        ("picture_aspect", v4l2_fract),
        ("cea861_vic", _u8),
        ("hdmi_vic", _u8),
        ("reserved", _u8 * 46),
    )


class v4l2_dv_timings(_Structure):
    """``struct v4l2_dv_timings``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("bt", v4l2_bt_timings),
            ("reserved", _u32 * 32),
        )

    _pack_ = 1
    _layout_ = "ms"
    _anonymous_ = ("_u",)
    _fields_ = (
        ("type", _u32),
        ("_u", _u_t),
    )


class v4l2_enum_dv_timings(_Structure):
    """``struct v4l2_enum_dv_timings``, videodev2.h"""

    _fields_ = (
        ("index", _u32),
        ("pad", _u32),
        ("reserved", _u32 * 2),
        ("timings", v4l2_dv_timings),
    )


class v4l2_bt_timings_cap(_Structure):
    """``struct v4l2_bt_timings_cap``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("min_width", _u32),
        ("max_width", _u32),
        ("min_height", _u32),
        ("max_height", _u32),
        ("min_pixelclock", _u64),
        ("max_pixelclock", _u64),
        ("standards", _u32),
        ("capabilities", _u32),
        ("reserved", _u32 * 16),
    )


class v4l2_dv_timings_cap(_Structure):
    """``struct v4l2_dv_timings_cap``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("bt", v4l2_bt_timings_cap),
            ("raw_data", _u32 * 32),
        )

    _anonymous_ = ("_u",)
    _fields_ = (
        ("type", _u32),
        ("pad", _u32),
        ("reserved", _u32 * 2),
        ("_u", _u_t),
    )


class v4l2_input(_Structure):
    """``struct v4l2_input``, videodev2.h"""

    _fields_ = (
        ("index", _u32),
        ("name", _u8 * 32),
        ("type", _u32),
        ("audioset", _u32),
        ("tuner", _u32),
        ("std", _u64),
        ("status", _u32),
        ("capabilities", _u32),
        ("reserved", _u32 * 3),
    )


class v4l2_output(_Structure):
    """``struct v4l2_output``, videodev2.h"""

    _fields_ = (
        ("index", _u32),
        ("name", _u8 * 32),
        ("type", _u32),
        ("audioset", _u32),
        ("modulator", _u32),
        ("std", _u64),
        ("capabilities", _u32),
        ("reserved", _u32 * 3),
    )


class v4l2_ext_control(_Structure):
    """``struct v4l2_ext_control``, videodev2.h"""

    class _u_t(_Union):
        _pack_ = 1
        _layout_ = "ms"
        _fields_ = (
            ("value", _s32),
            ("value64", _s64),
            ("string", _POINTER(_char)),
            ("p_u8", _POINTER(_u8)),
            ("p_u16", _POINTER(_u16)),
            ("p_u32", _POINTER(_u32)),
            ("p_s32", _POINTER(_s32)),
            ("p_s64", _POINTER(_s64)),
            ("p_area", _POINTER(v4l2_area)),
            ("p_rect", _POINTER(v4l2_rect)),
            ("p_h264_sps", _POINTER(v4l2_ctrl_h264_sps)),
            ("p_h264_pps", _POINTER(v4l2_ctrl_h264_pps)),
            ("p_h264_scaling_matrix", _POINTER(v4l2_ctrl_h264_scaling_matrix)),
            ("p_h264_pred_weights", _POINTER(v4l2_ctrl_h264_pred_weights)),
            ("p_h264_slice_params", _POINTER(v4l2_ctrl_h264_slice_params)),
            ("p_h264_decode_params", _POINTER(v4l2_ctrl_h264_decode_params)),
            ("p_fwht_params", _POINTER(v4l2_ctrl_fwht_params)),
            ("p_vp8_frame", _POINTER(v4l2_ctrl_vp8_frame)),
            ("p_mpeg2_sequence", _POINTER(v4l2_ctrl_mpeg2_sequence)),
            ("p_mpeg2_picture", _POINTER(v4l2_ctrl_mpeg2_picture)),
            ("p_mpeg2_quantisation", _POINTER(v4l2_ctrl_mpeg2_quantisation)),
            ("p_vp9_compressed_hdr_probs", _POINTER(v4l2_ctrl_vp9_compressed_hdr)),
            ("p_vp9_frame", _POINTER(v4l2_ctrl_vp9_frame)),
            ("p_hevc_sps", _POINTER(v4l2_ctrl_hevc_sps)),
            ("p_hevc_pps", _POINTER(v4l2_ctrl_hevc_pps)),
            ("p_hevc_slice_params", _POINTER(v4l2_ctrl_hevc_slice_params)),
            ("p_hevc_scaling_matrix", _POINTER(v4l2_ctrl_hevc_scaling_matrix)),
            ("p_hevc_decode_params", _POINTER(v4l2_ctrl_hevc_decode_params)),
            ("p_av1_sequence", _POINTER(v4l2_ctrl_av1_sequence)),
            ("p_av1_tile_group_entry", _POINTER(v4l2_ctrl_av1_tile_group_entry)),
            ("p_av1_frame", _POINTER(v4l2_ctrl_av1_frame)),
            ("p_av1_film_grain", _POINTER(v4l2_ctrl_av1_film_grain)),
            ("p_hdr10_cll_info", _POINTER(v4l2_ctrl_hdr10_cll_info)),
            ("p_hdr10_mastering_display", _POINTER(v4l2_ctrl_hdr10_mastering_display)),
            ("ptr", _void_p),
        )

    _pack_ = 1
    _layout_ = "ms"
    _anonymous_ = ("_u",)
    _fields_ = (
        ("id", _u32),
        ("size", _u32),
        ("reserved2", _u32 * 1),
        ("_u", _u_t),
    )


class v4l2_ext_controls(_Structure):
    """``struct v4l2_ext_controls``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("ctrl_class", _u32),
            ("which", _u32),
        )

    _anonymous_ = ("_u",)
    _fields_ = (
        ("_u", _u_t),
        ("count", _u32),
        ("error_idx", _u32),
        ("request_fd", _s32),
        ("reserved", _u32 * 1),
        ("controls", _POINTER(v4l2_ext_control)),
    )


class v4l2_querymenu(_Structure):
    """``struct v4l2_querymenu``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("name", _u8 * 32),
            ("value", _s64),
        )

    _pack_ = 1
    _layout_ = "ms"
    _anonymous_ = ("_u",)
    _fields_ = (
        ("id", _u32),
        ("index", _u32),
        ("_u", _u_t),
        ("reserved", _u32),
    )


class v4l2_modulator(_Structure):
    """``struct v4l2_modulator``, videodev2.h"""

    _fields_ = (
        ("index", _u32),
        ("name", _u8 * 32),
        ("capability", _u32),
        ("rangelow", _u32),
        ("rangehigh", _u32),
        ("txsubchans", _u32),
        ("type", _u32),
        ("reserved", _u32 * 3),
    )


class v4l2_frequency_band(_Structure):
    """``struct v4l2_frequency_band``, videodev2.h"""

    _fields_ = (
        ("tuner", _u32),
        ("type", _u32),
        ("index", _u32),
        ("capability", _u32),
        ("rangelow", _u32),
        ("rangehigh", _u32),
        ("modulation", _u32),
        ("reserved", _u32 * 9),
    )


class v4l2_hw_freq_seek(_Structure):
    """``struct v4l2_hw_freq_seek``, videodev2.h"""

    _fields_ = (
        ("tuner", _u32),
        ("type", _u32),
        ("seek_upward", _u32),
        ("wrap_around", _u32),
        ("spacing", _u32),
        ("rangelow", _u32),
        ("rangehigh", _u32),
        ("reserved", _u32 * 5),
    )


class v4l2_rds_data(_Structure):
    """``struct v4l2_rds_data``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("lsb", _u8),
        ("msb", _u8),
        ("block", _u8),
    )


class v4l2_decoder_cmd(_Structure):
    """``struct v4l2_decoder_cmd``, videodev2.h"""

    class _u_t(_Union):
        class _stop_t(_Structure):
            _fields_ = (("pts", _u64),)

        class _start_t(_Structure):
            _fields_ = (
                ("speed", _s32),
                ("format", _u32),
            )

        class _raw_t(_Structure):
            _fields_ = (("data", _u32 * 16),)

        _fields_ = (
            ("stop", _stop_t),
            ("start", _start_t),
            ("raw", _raw_t),
        )

    _anonymous_ = ("_u",)
    _fields_ = (
        ("cmd", _u32),
        ("flags", _u32),
        ("_u", _u_t),
    )


class v4l2_sliced_vbi_format(_Structure):
    """``struct v4l2_sliced_vbi_format``, videodev2.h"""

    _fields_ = (
        ("service_set", _u16),
        ("service_lines", _u16 * 24 * 2),
        ("io_size", _u32),
        ("reserved", _u32 * 2),
    )


class v4l2_sliced_vbi_cap(_Structure):
    """``struct v4l2_sliced_vbi_cap``, videodev2.h"""

    _fields_ = (
        ("service_set", _u16),
        ("service_lines", _u16 * 24 * 2),
        ("type", _u32),
        ("reserved", _u32 * 3),
    )


class v4l2_sliced_vbi_data(_Structure):
    """``struct v4l2_sliced_vbi_data``, videodev2.h"""

    _fields_ = (
        ("id", _u32),
        ("field", _u32),
        ("line", _u32),
        ("reserved", _u32),
        ("data", _u8 * 48),
    )


class v4l2_mpeg_vbi_itv0_line(_Structure):
    """``struct v4l2_mpeg_vbi_itv0_line``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("id", _u8),
        ("data", _u8 * 42),
    )


class v4l2_mpeg_vbi_itv0(_Structure):
    """``struct v4l2_mpeg_vbi_itv0``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("linemask", _u32 * 2),
        ("line", v4l2_mpeg_vbi_itv0_line * 35),
    )


class v4l2_mpeg_vbi_ITV0(_Structure):
    """``struct v4l2_mpeg_vbi_ITV0``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("line", v4l2_mpeg_vbi_itv0_line * 36),)


class v4l2_mpeg_vbi_fmt_ivtv(_Structure):
    """``struct v4l2_mpeg_vbi_fmt_ivtv``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("itv0", v4l2_mpeg_vbi_itv0),
            ("ITV0", v4l2_mpeg_vbi_ITV0),
        )

    _pack_ = 1
    _layout_ = "ms"
    _anonymous_ = ("_u",)
    _fields_ = (
        ("magic", _u8 * 4),
        ("_u", _u_t),
    )


class v4l2_pix_format_mplane(_Structure):
    """``struct v4l2_pix_format_mplane``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("ycbcr_enc", _u8),
            ("hsv_enc", _u8),
        )

    _pack_ = 1
    _layout_ = "ms"
    _anonymous_ = ("_u",)
    _fields_ = (
        ("width", _u32),
        ("height", _u32),
        ("pixelformat", _u32),
        ("field", _u32),
        ("colorspace", _u32),
        ("plane_fmt", v4l2_plane_pix_format * 8),
        ("num_planes", _u8),
        ("flags", _u8),
        ("_u", _u_t),
        ("quantization", _u8),
        ("xfer_func", _u8),
        ("reserved", _u8 * 7),
    )


class v4l2_meta_format(_Structure):
    """``struct v4l2_meta_format``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("dataformat", _u32),
        ("buffersize", _u32),
        ("width", _u32),
        ("height", _u32),
        ("bytesperline", _u32),
    )


class v4l2_format(_Structure):
    """``struct v4l2_format``, videodev2.h"""

    class _fmt_t(_Union):
        _fields_ = (
            ("pix", v4l2_pix_format),
            ("pix_mp", v4l2_pix_format_mplane),
            ("win", v4l2_window),
            ("vbi", v4l2_vbi_format),
            ("sliced", v4l2_sliced_vbi_format),
            ("sdr", v4l2_sdr_format),
            ("meta", v4l2_meta_format),
            ("raw_data", _u8 * 200),
        )

    _fields_ = (
        ("type", _u32),
        ("fmt", _fmt_t),
    )


class v4l2_streamparm(_Structure):
    """``struct v4l2_streamparm``, videodev2.h"""

    class _parm_t(_Union):
        _fields_ = (
            ("capture", v4l2_captureparm),
            ("output", v4l2_outputparm),
            ("raw_data", _u8 * 200),
        )

    _fields_ = (
        ("type", _u32),
        ("parm", _parm_t),
    )


class v4l2_event_vsync(_Structure):
    """``struct v4l2_event_vsync``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("field", _u8),)


class v4l2_event_ctrl(_Structure):
    """``struct v4l2_event_ctrl``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("value", _s32),
            ("value64", _s64),
        )

    _anonymous_ = ("_u",)
    _fields_ = (
        ("changes", _u32),
        ("type", _u32),
        ("_u", _u_t),
        ("flags", _u32),
        ("minimum", _s32),
        ("maximum", _s32),
        ("step", _s32),
        ("default_value", _s32),
    )


class v4l2_event_frame_sync(_Structure):
    """``struct v4l2_event_frame_sync``, videodev2.h"""

    _fields_ = (("frame_sequence", _u32),)


class v4l2_event_src_change(_Structure):
    """``struct v4l2_event_src_change``, videodev2.h"""

    _fields_ = (("changes", _u32),)


class v4l2_event_motion_det(_Structure):
    """``struct v4l2_event_motion_det``, videodev2.h"""

    _fields_ = (
        ("flags", _u32),
        ("frame_sequence", _u32),
        ("region_mask", _u32),
    )


class v4l2_event(_Structure):
    """``struct v4l2_event``, videodev2.h"""

    class _u_t(_Union):
        _fields_ = (
            ("vsync", v4l2_event_vsync),
            ("ctrl", v4l2_event_ctrl),
            ("frame_sync", v4l2_event_frame_sync),
            ("src_change", v4l2_event_src_change),
            ("motion_det", v4l2_event_motion_det),
            ("data", _u8 * 64),
        )

    _fields_ = (
        ("type", _u32),
        ("u", _u_t),
        ("pending", _u32),
        ("sequence", _u32),
        ("timestamp", timespec),
        ("id", _u32),
        ("reserved", _u32 * 8),
    )


class v4l2_event_subscription(_Structure):
    """``struct v4l2_event_subscription``, videodev2.h"""

    _fields_ = (
        ("type", _u32),
        ("id", _u32),
        ("flags", _u32),
        ("reserved", _u32 * 5),
    )


class v4l2_dbg_chip_info(_Structure):
    """``struct v4l2_dbg_chip_info``, videodev2.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("match", v4l2_dbg_match),
        ("name", _char * 32),
        ("flags", _u32),
        ("reserved", _u32 * 32),
    )


class v4l2_create_buffers(_Structure):
    """``struct v4l2_create_buffers``, videodev2.h"""

    _fields_ = (
        ("index", _u32),
        ("count", _u32),
        ("memory", _u32),
        ("format", v4l2_format),
        ("capabilities", _u32),
        ("flags", _u32),
        ("max_num_buffers", _u32),
        ("reserved", _u32 * 5),
    )


class v4l2_remove_buffers(_Structure):
    """``struct v4l2_remove_buffers``, videodev2.h"""

    _fields_ = (
        ("index", _u32),
        ("count", _u32),
        ("type", _u32),
        ("reserved", _u32 * 13),
    )


VIDIOC_QUERYCAP = _IOR("V", 0, v4l2_capability)
VIDIOC_ENUM_FMT = _IOWR("V", 2, v4l2_fmtdesc)
VIDIOC_G_FMT = _IOWR("V", 4, v4l2_format)
VIDIOC_S_FMT = _IOWR("V", 5, v4l2_format)
VIDIOC_REQBUFS = _IOWR("V", 8, v4l2_requestbuffers)
VIDIOC_QUERYBUF = _IOWR("V", 9, v4l2_buffer)

VIDIOC_QBUF = _IOWR("V", 15, v4l2_buffer)
VIDIOC_EXPBUF = _IOWR("V", 16, v4l2_exportbuffer)
VIDIOC_DQBUF = _IOWR("V", 17, v4l2_buffer)
VIDIOC_G_PARM = _IOWR("V", 21, v4l2_streamparm)
VIDIOC_S_PARM = _IOWR("V", 22, v4l2_streamparm)

VIDIOC_ENUMINPUT = _IOWR("V", 26, v4l2_input)

VIDIOC_QUERYMENU = _IOWR("V", 37, v4l2_querymenu)
VIDIOC_G_EDID = _IOWR("V", 40, v4l2_edid)
VIDIOC_S_EDID = _IOWR("V", 41, v4l2_edid)
VIDIOC_ENUMOUTPUT = _IOWR("V", 48, v4l2_output)
VIDIOC_G_MODULATOR = _IOWR("V", 54, v4l2_modulator)
VIDIOC_S_MODULATOR = _IOW("V", 55, v4l2_modulator)
VIDIOC_CROPCAP = _IOWR("V", 58, v4l2_cropcap)
VIDIOC_G_CROP = _IOWR("V", 59, v4l2_crop)
VIDIOC_S_CROP = _IOW("V", 60, v4l2_crop)
VIDIOC_G_JPEGCOMP = _IOR("V", 61, v4l2_jpegcompression)
VIDIOC_S_JPEGCOMP = _IOW("V", 62, v4l2_jpegcompression)
VIDIOC_TRY_FMT = _IOWR("V", 64, v4l2_format)

VIDIOC_G_SLICED_VBI_CAP = _IOWR("V", 69, v4l2_sliced_vbi_cap)
VIDIOC_G_EXT_CTRLS = _IOWR("V", 71, v4l2_ext_controls)
VIDIOC_S_EXT_CTRLS = _IOWR("V", 72, v4l2_ext_controls)
VIDIOC_TRY_EXT_CTRLS = _IOWR("V", 73, v4l2_ext_controls)
VIDIOC_ENUM_FRAMESIZES = _IOWR("V", 74, v4l2_frmsizeenum)

VIDIOC_S_HW_FREQ_SEEK = _IOW("V", 82, v4l2_hw_freq_seek)
VIDIOC_S_DV_TIMINGS = _IOWR("V", 87, v4l2_dv_timings)
VIDIOC_G_DV_TIMINGS = _IOWR("V", 88, v4l2_dv_timings)
VIDIOC_DQEVENT = _IOR("V", 89, v4l2_event)
VIDIOC_SUBSCRIBE_EVENT = _IOW("V", 90, v4l2_event_subscription)
VIDIOC_UNSUBSCRIBE_EVENT = _IOW("V", 91, v4l2_event_subscription)
VIDIOC_CREATE_BUFS = _IOWR("V", 92, v4l2_create_buffers)
VIDIOC_PREPARE_BUF = _IOWR("V", 93, v4l2_buffer)
VIDIOC_G_SELECTION = _IOWR("V", 94, v4l2_selection)
VIDIOC_S_SELECTION = _IOWR("V", 95, v4l2_selection)
VIDIOC_DECODER_CMD = _IOWR("V", 96, v4l2_decoder_cmd)
VIDIOC_TRY_DECODER_CMD = _IOWR("V", 97, v4l2_decoder_cmd)
VIDIOC_ENUM_DV_TIMINGS = _IOWR("V", 98, v4l2_enum_dv_timings)
VIDIOC_QUERY_DV_TIMINGS = _IOR("V", 99, v4l2_dv_timings)
VIDIOC_DV_TIMINGS_CAP = _IOWR("V", 100, v4l2_dv_timings_cap)
VIDIOC_ENUM_FREQ_BANDS = _IOWR("V", 101, v4l2_frequency_band)

VIDIOC_DBG_G_CHIP_INFO = _IOWR("V", 102, v4l2_dbg_chip_info)
VIDIOC_REMOVE_BUFS = _IOWR("V", 104, v4l2_remove_buffers)
