"""The ids of all controls, and the values of those that are menus or bit masks.

Generated from linux-libc-dev 7.3.4-1~bpo13+1 by tests/abi/generate.py: do not edit.
"""

from __future__ import annotations

from .._enumbase import KernelEnum, KernelFlag


class ControlId(KernelEnum):
    """Every ``V4L2_CID_*`` that is the id of a control."""

    USER_CLASS = 0x980001
    BRIGHTNESS = 0x980900
    CONTRAST = 0x980901
    SATURATION = 0x980902
    HUE = 0x980903
    AUDIO_VOLUME = 0x980905
    AUDIO_BALANCE = 0x980906
    AUDIO_BASS = 0x980907
    AUDIO_TREBLE = 0x980908
    AUDIO_MUTE = 0x980909
    AUDIO_LOUDNESS = 0x98090A
    BLACK_LEVEL = 0x98090B
    AUTO_WHITE_BALANCE = 0x98090C
    DO_WHITE_BALANCE = 0x98090D
    RED_BALANCE = 0x98090E
    BLUE_BALANCE = 0x98090F
    GAMMA = 0x980910
    WHITENESS = 0x980910
    EXPOSURE = 0x980911
    AUTOGAIN = 0x980912
    GAIN = 0x980913
    HFLIP = 0x980914
    VFLIP = 0x980915
    POWER_LINE_FREQUENCY = 0x980918
    HUE_AUTO = 0x980919
    WHITE_BALANCE_TEMPERATURE = 0x98091A
    SHARPNESS = 0x98091B
    BACKLIGHT_COMPENSATION = 0x98091C
    CHROMA_AGC = 0x98091D
    COLOR_KILLER = 0x98091E
    COLORFX = 0x98091F
    AUTOBRIGHTNESS = 0x980920
    BAND_STOP_FILTER = 0x980921
    ROTATE = 0x980922
    BG_COLOR = 0x980923
    CHROMA_GAIN = 0x980924
    ILLUMINATORS_1 = 0x980925
    ILLUMINATORS_2 = 0x980926
    MIN_BUFFERS_FOR_CAPTURE = 0x980927
    MIN_BUFFERS_FOR_OUTPUT = 0x980928
    ALPHA_COMPONENT = 0x980929
    COLORFX_CBCR = 0x98092A
    COLORFX_RGB = 0x98092B
    CODEC_CLASS = 0x990001
    MPEG_STREAM_TYPE = 0x990900
    MPEG_STREAM_PID_PMT = 0x990901
    MPEG_STREAM_PID_AUDIO = 0x990902
    MPEG_STREAM_PID_VIDEO = 0x990903
    MPEG_STREAM_PID_PCR = 0x990904
    MPEG_STREAM_PES_ID_AUDIO = 0x990905
    MPEG_STREAM_PES_ID_VIDEO = 0x990906
    MPEG_STREAM_VBI_FMT = 0x990907
    MPEG_AUDIO_SAMPLING_FREQ = 0x990964
    MPEG_AUDIO_ENCODING = 0x990965
    MPEG_AUDIO_L1_BITRATE = 0x990966
    MPEG_AUDIO_L2_BITRATE = 0x990967
    MPEG_AUDIO_L3_BITRATE = 0x990968
    MPEG_AUDIO_MODE = 0x990969
    MPEG_AUDIO_MODE_EXTENSION = 0x99096A
    MPEG_AUDIO_EMPHASIS = 0x99096B
    MPEG_AUDIO_CRC = 0x99096C
    MPEG_AUDIO_MUTE = 0x99096D
    MPEG_AUDIO_AAC_BITRATE = 0x99096E
    MPEG_AUDIO_AC3_BITRATE = 0x99096F
    MPEG_AUDIO_DEC_PLAYBACK = 0x990970
    MPEG_AUDIO_DEC_MULTILINGUAL_PLAYBACK = 0x990971
    MPEG_VIDEO_ENCODING = 0x9909C8
    MPEG_VIDEO_ASPECT = 0x9909C9
    MPEG_VIDEO_B_FRAMES = 0x9909CA
    MPEG_VIDEO_GOP_SIZE = 0x9909CB
    MPEG_VIDEO_GOP_CLOSURE = 0x9909CC
    MPEG_VIDEO_PULLDOWN = 0x9909CD
    MPEG_VIDEO_BITRATE_MODE = 0x9909CE
    MPEG_VIDEO_BITRATE = 0x9909CF
    MPEG_VIDEO_BITRATE_PEAK = 0x9909D0
    MPEG_VIDEO_TEMPORAL_DECIMATION = 0x9909D1
    MPEG_VIDEO_MUTE = 0x9909D2
    MPEG_VIDEO_MUTE_YUV = 0x9909D3
    MPEG_VIDEO_DECODER_SLICE_INTERFACE = 0x9909D4
    MPEG_VIDEO_DECODER_MPEG4_DEBLOCK_FILTER = 0x9909D5
    MPEG_VIDEO_CYCLIC_INTRA_REFRESH_MB = 0x9909D6
    MPEG_VIDEO_FRAME_RC_ENABLE = 0x9909D7
    MPEG_VIDEO_HEADER_MODE = 0x9909D8
    MPEG_VIDEO_MAX_REF_PIC = 0x9909D9
    MPEG_VIDEO_MB_RC_ENABLE = 0x9909DA
    MPEG_VIDEO_MULTI_SLICE_MAX_BYTES = 0x9909DB
    MPEG_VIDEO_MULTI_SLICE_MAX_MB = 0x9909DC
    MPEG_VIDEO_MULTI_SLICE_MODE = 0x9909DD
    MPEG_VIDEO_VBV_SIZE = 0x9909DE
    MPEG_VIDEO_DEC_PTS = 0x9909DF
    MPEG_VIDEO_DEC_FRAME = 0x9909E0
    MPEG_VIDEO_VBV_DELAY = 0x9909E1
    MPEG_VIDEO_REPEAT_SEQ_HEADER = 0x9909E2
    MPEG_VIDEO_MV_H_SEARCH_RANGE = 0x9909E3
    MPEG_VIDEO_MV_V_SEARCH_RANGE = 0x9909E4
    MPEG_VIDEO_FORCE_KEY_FRAME = 0x9909E5
    MPEG_VIDEO_BASELAYER_PRIORITY_ID = 0x9909E6
    MPEG_VIDEO_AU_DELIMITER = 0x9909E7
    MPEG_VIDEO_LTR_COUNT = 0x9909E8
    MPEG_VIDEO_FRAME_LTR_INDEX = 0x9909E9
    MPEG_VIDEO_USE_LTR_FRAMES = 0x9909EA
    MPEG_VIDEO_DEC_CONCEAL_COLOR = 0x9909EB
    MPEG_VIDEO_INTRA_REFRESH_PERIOD = 0x9909EC
    MPEG_VIDEO_INTRA_REFRESH_PERIOD_TYPE = 0x9909ED
    MPEG_VIDEO_BACKGROUND_DETECTION = 0x9909EE
    MPEG_VIDEO_MPEG2_LEVEL = 0x990A0E
    MPEG_VIDEO_MPEG2_PROFILE = 0x990A0F
    FWHT_I_FRAME_QP = 0x990A22
    FWHT_P_FRAME_QP = 0x990A23
    MPEG_VIDEO_H263_I_FRAME_QP = 0x990A2C
    MPEG_VIDEO_H263_P_FRAME_QP = 0x990A2D
    MPEG_VIDEO_H263_B_FRAME_QP = 0x990A2E
    MPEG_VIDEO_H263_MIN_QP = 0x990A2F
    MPEG_VIDEO_H263_MAX_QP = 0x990A30
    MPEG_VIDEO_H264_I_FRAME_QP = 0x990A5E
    MPEG_VIDEO_H264_P_FRAME_QP = 0x990A5F
    MPEG_VIDEO_H264_B_FRAME_QP = 0x990A60
    MPEG_VIDEO_H264_MIN_QP = 0x990A61
    MPEG_VIDEO_H264_MAX_QP = 0x990A62
    MPEG_VIDEO_H264_8X8_TRANSFORM = 0x990A63
    MPEG_VIDEO_H264_CPB_SIZE = 0x990A64
    MPEG_VIDEO_H264_ENTROPY_MODE = 0x990A65
    MPEG_VIDEO_H264_I_PERIOD = 0x990A66
    MPEG_VIDEO_H264_LEVEL = 0x990A67
    MPEG_VIDEO_H264_LOOP_FILTER_ALPHA = 0x990A68
    MPEG_VIDEO_H264_LOOP_FILTER_BETA = 0x990A69
    MPEG_VIDEO_H264_LOOP_FILTER_MODE = 0x990A6A
    MPEG_VIDEO_H264_PROFILE = 0x990A6B
    MPEG_VIDEO_H264_VUI_EXT_SAR_HEIGHT = 0x990A6C
    MPEG_VIDEO_H264_VUI_EXT_SAR_WIDTH = 0x990A6D
    MPEG_VIDEO_H264_VUI_SAR_ENABLE = 0x990A6E
    MPEG_VIDEO_H264_VUI_SAR_IDC = 0x990A6F
    MPEG_VIDEO_H264_SEI_FRAME_PACKING = 0x990A70
    MPEG_VIDEO_H264_SEI_FP_CURRENT_FRAME_0 = 0x990A71
    MPEG_VIDEO_H264_SEI_FP_ARRANGEMENT_TYPE = 0x990A72
    MPEG_VIDEO_H264_FMO = 0x990A73
    MPEG_VIDEO_H264_FMO_MAP_TYPE = 0x990A74
    MPEG_VIDEO_H264_FMO_SLICE_GROUP = 0x990A75
    MPEG_VIDEO_H264_FMO_CHANGE_DIRECTION = 0x990A76
    MPEG_VIDEO_H264_FMO_CHANGE_RATE = 0x990A77
    MPEG_VIDEO_H264_FMO_RUN_LENGTH = 0x990A78
    MPEG_VIDEO_H264_ASO = 0x990A79
    MPEG_VIDEO_H264_ASO_SLICE_ORDER = 0x990A7A
    MPEG_VIDEO_H264_HIERARCHICAL_CODING = 0x990A7B
    MPEG_VIDEO_H264_HIERARCHICAL_CODING_TYPE = 0x990A7C
    MPEG_VIDEO_H264_HIERARCHICAL_CODING_LAYER = 0x990A7D
    MPEG_VIDEO_H264_HIERARCHICAL_CODING_LAYER_QP = 0x990A7E
    MPEG_VIDEO_H264_CONSTRAINED_INTRA_PREDICTION = 0x990A7F
    MPEG_VIDEO_H264_CHROMA_QP_INDEX_OFFSET = 0x990A80
    MPEG_VIDEO_H264_I_FRAME_MIN_QP = 0x990A81
    MPEG_VIDEO_H264_I_FRAME_MAX_QP = 0x990A82
    MPEG_VIDEO_H264_P_FRAME_MIN_QP = 0x990A83
    MPEG_VIDEO_H264_P_FRAME_MAX_QP = 0x990A84
    MPEG_VIDEO_H264_B_FRAME_MIN_QP = 0x990A85
    MPEG_VIDEO_H264_B_FRAME_MAX_QP = 0x990A86
    MPEG_VIDEO_H264_HIER_CODING_L0_BR = 0x990A87
    MPEG_VIDEO_H264_HIER_CODING_L1_BR = 0x990A88
    MPEG_VIDEO_H264_HIER_CODING_L2_BR = 0x990A89
    MPEG_VIDEO_H264_HIER_CODING_L3_BR = 0x990A8A
    MPEG_VIDEO_H264_HIER_CODING_L4_BR = 0x990A8B
    MPEG_VIDEO_H264_HIER_CODING_L5_BR = 0x990A8C
    MPEG_VIDEO_H264_HIER_CODING_L6_BR = 0x990A8D
    MPEG_VIDEO_MPEG4_I_FRAME_QP = 0x990A90
    MPEG_VIDEO_MPEG4_P_FRAME_QP = 0x990A91
    MPEG_VIDEO_MPEG4_B_FRAME_QP = 0x990A92
    MPEG_VIDEO_MPEG4_MIN_QP = 0x990A93
    MPEG_VIDEO_MPEG4_MAX_QP = 0x990A94
    MPEG_VIDEO_MPEG4_LEVEL = 0x990A95
    MPEG_VIDEO_MPEG4_PROFILE = 0x990A96
    MPEG_VIDEO_MPEG4_QPEL = 0x990A97
    MPEG_VIDEO_VPX_NUM_PARTITIONS = 0x990AF4
    MPEG_VIDEO_VPX_IMD_DISABLE_4X4 = 0x990AF5
    MPEG_VIDEO_VPX_NUM_REF_FRAMES = 0x990AF6
    MPEG_VIDEO_VPX_FILTER_LEVEL = 0x990AF7
    MPEG_VIDEO_VPX_FILTER_SHARPNESS = 0x990AF8
    MPEG_VIDEO_VPX_GOLDEN_FRAME_REF_PERIOD = 0x990AF9
    MPEG_VIDEO_VPX_GOLDEN_FRAME_SEL = 0x990AFA
    MPEG_VIDEO_VPX_MIN_QP = 0x990AFB
    MPEG_VIDEO_VPX_MAX_QP = 0x990AFC
    MPEG_VIDEO_VPX_I_FRAME_QP = 0x990AFD
    MPEG_VIDEO_VPX_P_FRAME_QP = 0x990AFE
    MPEG_VIDEO_VP8_PROFILE = 0x990AFF
    MPEG_VIDEO_VPX_PROFILE = 0x990AFF
    MPEG_VIDEO_VP9_PROFILE = 0x990B00
    MPEG_VIDEO_VP9_LEVEL = 0x990B01
    MPEG_VIDEO_HEVC_MIN_QP = 0x990B58
    MPEG_VIDEO_HEVC_MAX_QP = 0x990B59
    MPEG_VIDEO_HEVC_I_FRAME_QP = 0x990B5A
    MPEG_VIDEO_HEVC_P_FRAME_QP = 0x990B5B
    MPEG_VIDEO_HEVC_B_FRAME_QP = 0x990B5C
    MPEG_VIDEO_HEVC_HIER_QP = 0x990B5D
    MPEG_VIDEO_HEVC_HIER_CODING_TYPE = 0x990B5E
    MPEG_VIDEO_HEVC_HIER_CODING_LAYER = 0x990B5F
    MPEG_VIDEO_HEVC_HIER_CODING_L0_QP = 0x990B60
    MPEG_VIDEO_HEVC_HIER_CODING_L1_QP = 0x990B61
    MPEG_VIDEO_HEVC_HIER_CODING_L2_QP = 0x990B62
    MPEG_VIDEO_HEVC_HIER_CODING_L3_QP = 0x990B63
    MPEG_VIDEO_HEVC_HIER_CODING_L4_QP = 0x990B64
    MPEG_VIDEO_HEVC_HIER_CODING_L5_QP = 0x990B65
    MPEG_VIDEO_HEVC_HIER_CODING_L6_QP = 0x990B66
    MPEG_VIDEO_HEVC_PROFILE = 0x990B67
    MPEG_VIDEO_HEVC_LEVEL = 0x990B68
    MPEG_VIDEO_HEVC_FRAME_RATE_RESOLUTION = 0x990B69
    MPEG_VIDEO_HEVC_TIER = 0x990B6A
    MPEG_VIDEO_HEVC_MAX_PARTITION_DEPTH = 0x990B6B
    MPEG_VIDEO_HEVC_LOOP_FILTER_MODE = 0x990B6C
    MPEG_VIDEO_HEVC_LF_BETA_OFFSET_DIV2 = 0x990B6D
    MPEG_VIDEO_HEVC_LF_TC_OFFSET_DIV2 = 0x990B6E
    MPEG_VIDEO_HEVC_REFRESH_TYPE = 0x990B6F
    MPEG_VIDEO_HEVC_REFRESH_PERIOD = 0x990B70
    MPEG_VIDEO_HEVC_LOSSLESS_CU = 0x990B71
    MPEG_VIDEO_HEVC_CONST_INTRA_PRED = 0x990B72
    MPEG_VIDEO_HEVC_WAVEFRONT = 0x990B73
    MPEG_VIDEO_HEVC_GENERAL_PB = 0x990B74
    MPEG_VIDEO_HEVC_TEMPORAL_ID = 0x990B75
    MPEG_VIDEO_HEVC_STRONG_SMOOTHING = 0x990B76
    MPEG_VIDEO_HEVC_MAX_NUM_MERGE_MV_MINUS1 = 0x990B77
    MPEG_VIDEO_HEVC_INTRA_PU_SPLIT = 0x990B78
    MPEG_VIDEO_HEVC_TMV_PREDICTION = 0x990B79
    MPEG_VIDEO_HEVC_WITHOUT_STARTCODE = 0x990B7A
    MPEG_VIDEO_HEVC_SIZE_OF_LENGTH_FIELD = 0x990B7B
    MPEG_VIDEO_HEVC_HIER_CODING_L0_BR = 0x990B7C
    MPEG_VIDEO_HEVC_HIER_CODING_L1_BR = 0x990B7D
    MPEG_VIDEO_HEVC_HIER_CODING_L2_BR = 0x990B7E
    MPEG_VIDEO_HEVC_HIER_CODING_L3_BR = 0x990B7F
    MPEG_VIDEO_HEVC_HIER_CODING_L4_BR = 0x990B80
    MPEG_VIDEO_HEVC_HIER_CODING_L5_BR = 0x990B81
    MPEG_VIDEO_HEVC_HIER_CODING_L6_BR = 0x990B82
    MPEG_VIDEO_REF_NUMBER_FOR_PFRAMES = 0x990B83
    MPEG_VIDEO_PREPEND_SPSPPS_TO_IDR = 0x990B84
    MPEG_VIDEO_CONSTANT_QUALITY = 0x990B85
    MPEG_VIDEO_FRAME_SKIP_MODE = 0x990B86
    MPEG_VIDEO_HEVC_I_FRAME_MIN_QP = 0x990B87
    MPEG_VIDEO_HEVC_I_FRAME_MAX_QP = 0x990B88
    MPEG_VIDEO_HEVC_P_FRAME_MIN_QP = 0x990B89
    MPEG_VIDEO_HEVC_P_FRAME_MAX_QP = 0x990B8A
    MPEG_VIDEO_HEVC_B_FRAME_MIN_QP = 0x990B8B
    MPEG_VIDEO_HEVC_B_FRAME_MAX_QP = 0x990B8C
    MPEG_VIDEO_DEC_DISPLAY_DELAY = 0x990B8D
    MPEG_VIDEO_DEC_DISPLAY_DELAY_ENABLE = 0x990B8E
    MPEG_VIDEO_AV1_PROFILE = 0x990B8F
    MPEG_VIDEO_AV1_LEVEL = 0x990B90
    MPEG_VIDEO_AVERAGE_QP = 0x990B91
    MPEG_CX2341X_VIDEO_SPATIAL_FILTER_MODE = 0x991000
    MPEG_CX2341X_VIDEO_SPATIAL_FILTER = 0x991001
    MPEG_CX2341X_VIDEO_LUMA_SPATIAL_FILTER_TYPE = 0x991002
    MPEG_CX2341X_VIDEO_CHROMA_SPATIAL_FILTER_TYPE = 0x991003
    MPEG_CX2341X_VIDEO_TEMPORAL_FILTER_MODE = 0x991004
    MPEG_CX2341X_VIDEO_TEMPORAL_FILTER = 0x991005
    MPEG_CX2341X_VIDEO_MEDIAN_FILTER_TYPE = 0x991006
    MPEG_CX2341X_VIDEO_LUMA_MEDIAN_FILTER_BOTTOM = 0x991007
    MPEG_CX2341X_VIDEO_LUMA_MEDIAN_FILTER_TOP = 0x991008
    MPEG_CX2341X_VIDEO_CHROMA_MEDIAN_FILTER_BOTTOM = 0x991009
    MPEG_CX2341X_VIDEO_CHROMA_MEDIAN_FILTER_TOP = 0x99100A
    MPEG_CX2341X_STREAM_INSERT_NAV_PACKETS = 0x99100B
    MPEG_MFC51_VIDEO_DECODER_H264_DISPLAY_DELAY = 0x991100
    MPEG_MFC51_VIDEO_DECODER_H264_DISPLAY_DELAY_ENABLE = 0x991101
    MPEG_MFC51_VIDEO_FRAME_SKIP_MODE = 0x991102
    MPEG_MFC51_VIDEO_FORCE_FRAME_TYPE = 0x991103
    MPEG_MFC51_VIDEO_PADDING = 0x991104
    MPEG_MFC51_VIDEO_PADDING_YUV = 0x991105
    MPEG_MFC51_VIDEO_RC_FIXED_TARGET_BIT = 0x991106
    MPEG_MFC51_VIDEO_RC_REACTION_COEFF = 0x991107
    MPEG_MFC51_VIDEO_H264_ADAPTIVE_RC_ACTIVITY = 0x991132
    MPEG_MFC51_VIDEO_H264_ADAPTIVE_RC_DARK = 0x991133
    MPEG_MFC51_VIDEO_H264_ADAPTIVE_RC_SMOOTH = 0x991134
    MPEG_MFC51_VIDEO_H264_ADAPTIVE_RC_STATIC = 0x991135
    MPEG_MFC51_VIDEO_H264_NUM_REF_PIC_FOR_P = 0x991136
    CAMERA_CLASS = 0x9A0001
    EXPOSURE_AUTO = 0x9A0901
    EXPOSURE_ABSOLUTE = 0x9A0902
    EXPOSURE_AUTO_PRIORITY = 0x9A0903
    PAN_RELATIVE = 0x9A0904
    TILT_RELATIVE = 0x9A0905
    PAN_RESET = 0x9A0906
    TILT_RESET = 0x9A0907
    PAN_ABSOLUTE = 0x9A0908
    TILT_ABSOLUTE = 0x9A0909
    FOCUS_ABSOLUTE = 0x9A090A
    FOCUS_RELATIVE = 0x9A090B
    FOCUS_AUTO = 0x9A090C
    ZOOM_ABSOLUTE = 0x9A090D
    ZOOM_RELATIVE = 0x9A090E
    ZOOM_CONTINUOUS = 0x9A090F
    PRIVACY = 0x9A0910
    IRIS_ABSOLUTE = 0x9A0911
    IRIS_RELATIVE = 0x9A0912
    AUTO_EXPOSURE_BIAS = 0x9A0913
    AUTO_N_PRESET_WHITE_BALANCE = 0x9A0914
    WIDE_DYNAMIC_RANGE = 0x9A0915
    IMAGE_STABILIZATION = 0x9A0916
    ISO_SENSITIVITY = 0x9A0917
    ISO_SENSITIVITY_AUTO = 0x9A0918
    EXPOSURE_METERING = 0x9A0919
    SCENE_MODE = 0x9A091A
    _3A_LOCK = 0x9A091B
    AUTO_FOCUS_START = 0x9A091C
    AUTO_FOCUS_STOP = 0x9A091D
    AUTO_FOCUS_STATUS = 0x9A091E
    AUTO_FOCUS_RANGE = 0x9A091F
    PAN_SPEED = 0x9A0920
    TILT_SPEED = 0x9A0921
    CAMERA_ORIENTATION = 0x9A0922
    CAMERA_SENSOR_ROTATION = 0x9A0923
    HDR_SENSOR_MODE = 0x9A0924
    FM_TX_CLASS = 0x9B0001
    RDS_TX_DEVIATION = 0x9B0901
    RDS_TX_PI = 0x9B0902
    RDS_TX_PTY = 0x9B0903
    RDS_TX_PS_NAME = 0x9B0905
    RDS_TX_RADIO_TEXT = 0x9B0906
    RDS_TX_MONO_STEREO = 0x9B0907
    RDS_TX_ARTIFICIAL_HEAD = 0x9B0908
    RDS_TX_COMPRESSED = 0x9B0909
    RDS_TX_DYNAMIC_PTY = 0x9B090A
    RDS_TX_TRAFFIC_ANNOUNCEMENT = 0x9B090B
    RDS_TX_TRAFFIC_PROGRAM = 0x9B090C
    RDS_TX_MUSIC_SPEECH = 0x9B090D
    RDS_TX_ALT_FREQS_ENABLE = 0x9B090E
    RDS_TX_ALT_FREQS = 0x9B090F
    AUDIO_LIMITER_ENABLED = 0x9B0940
    AUDIO_LIMITER_RELEASE_TIME = 0x9B0941
    AUDIO_LIMITER_DEVIATION = 0x9B0942
    AUDIO_COMPRESSION_ENABLED = 0x9B0950
    AUDIO_COMPRESSION_GAIN = 0x9B0951
    AUDIO_COMPRESSION_THRESHOLD = 0x9B0952
    AUDIO_COMPRESSION_ATTACK_TIME = 0x9B0953
    AUDIO_COMPRESSION_RELEASE_TIME = 0x9B0954
    PILOT_TONE_ENABLED = 0x9B0960
    PILOT_TONE_DEVIATION = 0x9B0961
    PILOT_TONE_FREQUENCY = 0x9B0962
    TUNE_PREEMPHASIS = 0x9B0970
    TUNE_POWER_LEVEL = 0x9B0971
    TUNE_ANTENNA_CAPACITOR = 0x9B0972
    FLASH_CLASS = 0x9C0001
    FLASH_LED_MODE = 0x9C0901
    FLASH_STROBE_SOURCE = 0x9C0902
    FLASH_STROBE = 0x9C0903
    FLASH_STROBE_STOP = 0x9C0904
    FLASH_STROBE_STATUS = 0x9C0905
    FLASH_TIMEOUT = 0x9C0906
    FLASH_INTENSITY = 0x9C0907
    FLASH_TORCH_INTENSITY = 0x9C0908
    FLASH_INDICATOR_INTENSITY = 0x9C0909
    FLASH_FAULT = 0x9C090A
    FLASH_CHARGE = 0x9C090B
    FLASH_READY = 0x9C090C
    FLASH_DURATION = 0x9C090D
    FLASH_STROBE_OE = 0x9C090E
    JPEG_CLASS = 0x9D0001
    JPEG_CHROMA_SUBSAMPLING = 0x9D0901
    JPEG_RESTART_INTERVAL = 0x9D0902
    JPEG_COMPRESSION_QUALITY = 0x9D0903
    JPEG_ACTIVE_MARKER = 0x9D0904
    IMAGE_SOURCE_CLASS = 0x9E0001
    VBLANK = 0x9E0901
    HBLANK = 0x9E0902
    ANALOGUE_GAIN = 0x9E0903
    TEST_PATTERN_RED = 0x9E0904
    TEST_PATTERN_GREENR = 0x9E0905
    TEST_PATTERN_BLUE = 0x9E0906
    TEST_PATTERN_GREENB = 0x9E0907
    UNIT_CELL_SIZE = 0x9E0908
    NOTIFY_GAINS = 0x9E0909
    IMAGE_PROC_CLASS = 0x9F0001
    LINK_FREQ = 0x9F0901
    PIXEL_RATE = 0x9F0902
    TEST_PATTERN = 0x9F0903
    DEINTERLACING_MODE = 0x9F0904
    DIGITAL_GAIN = 0x9F0905
    DV_CLASS = 0xA00001
    DV_TX_HOTPLUG = 0xA00901
    DV_TX_RXSENSE = 0xA00902
    DV_TX_EDID_PRESENT = 0xA00903
    DV_TX_MODE = 0xA00904
    DV_TX_RGB_RANGE = 0xA00905
    DV_TX_IT_CONTENT_TYPE = 0xA00906
    DV_RX_POWER_PRESENT = 0xA00964
    DV_RX_RGB_RANGE = 0xA00965
    DV_RX_IT_CONTENT_TYPE = 0xA00966
    FM_RX_CLASS = 0xA10001
    TUNE_DEEMPHASIS = 0xA10901
    RDS_RECEPTION = 0xA10902
    RDS_RX_PTY = 0xA10903
    RDS_RX_PS_NAME = 0xA10904
    RDS_RX_RADIO_TEXT = 0xA10905
    RDS_RX_TRAFFIC_ANNOUNCEMENT = 0xA10906
    RDS_RX_TRAFFIC_PROGRAM = 0xA10907
    RDS_RX_MUSIC_SPEECH = 0xA10908
    RF_TUNER_CLASS = 0xA20001
    RF_TUNER_BANDWIDTH_AUTO = 0xA2090B
    RF_TUNER_BANDWIDTH = 0xA2090C
    RF_TUNER_RF_GAIN = 0xA20920
    RF_TUNER_LNA_GAIN_AUTO = 0xA20929
    RF_TUNER_LNA_GAIN = 0xA2092A
    RF_TUNER_MIXER_GAIN_AUTO = 0xA20933
    RF_TUNER_MIXER_GAIN = 0xA20934
    RF_TUNER_IF_GAIN_AUTO = 0xA2093D
    RF_TUNER_IF_GAIN = 0xA2093E
    RF_TUNER_PLL_LOCK = 0xA2095B
    DETECT_CLASS = 0xA30001
    DETECT_MD_MODE = 0xA30901
    DETECT_MD_GLOBAL_THRESHOLD = 0xA30902
    DETECT_MD_THRESHOLD_GRID = 0xA30903
    DETECT_MD_REGION_GRID = 0xA30904
    CODEC_STATELESS_CLASS = 0xA40001
    STATELESS_H264_DECODE_MODE = 0xA40900
    STATELESS_H264_START_CODE = 0xA40901
    STATELESS_H264_SPS = 0xA40902
    STATELESS_H264_PPS = 0xA40903
    STATELESS_H264_SCALING_MATRIX = 0xA40904
    STATELESS_H264_PRED_WEIGHTS = 0xA40905
    STATELESS_H264_SLICE_PARAMS = 0xA40906
    STATELESS_H264_DECODE_PARAMS = 0xA40907
    STATELESS_FWHT_PARAMS = 0xA40964
    STATELESS_VP8_FRAME = 0xA409C8
    STATELESS_MPEG2_SEQUENCE = 0xA409DC
    STATELESS_MPEG2_PICTURE = 0xA409DD
    STATELESS_MPEG2_QUANTISATION = 0xA409DE
    STATELESS_HEVC_SPS = 0xA40A90
    STATELESS_HEVC_PPS = 0xA40A91
    STATELESS_HEVC_SLICE_PARAMS = 0xA40A92
    STATELESS_HEVC_SCALING_MATRIX = 0xA40A93
    STATELESS_HEVC_DECODE_PARAMS = 0xA40A94
    STATELESS_HEVC_DECODE_MODE = 0xA40A95
    STATELESS_HEVC_START_CODE = 0xA40A96
    STATELESS_HEVC_ENTRY_POINT_OFFSETS = 0xA40A97
    STATELESS_HEVC_EXT_SPS_ST_RPS = 0xA40A98
    STATELESS_HEVC_EXT_SPS_LT_RPS = 0xA40A99
    STATELESS_VP9_FRAME = 0xA40A2C
    STATELESS_VP9_COMPRESSED_HDR = 0xA40A2D
    STATELESS_AV1_SEQUENCE = 0xA40AF4
    STATELESS_AV1_TILE_GROUP_ENTRY = 0xA40AF5
    STATELESS_AV1_FRAME = 0xA40AF6
    STATELESS_AV1_FILM_GRAIN = 0xA40AF9
    MPEG_CLASS = 0x990001
    COLORIMETRY_CLASS = 0xA50001
    COLORIMETRY_HDR10_CLL_INFO = 0xA50900
    COLORIMETRY_HDR10_MASTERING_DISPLAY = 0xA50901


class PowerLineFrequency(KernelEnum):
    """``enum v4l2_power_line_frequency``."""

    DISABLED = 0
    _50HZ = 1
    _60HZ = 2
    AUTO = 3


class Colorfx(KernelEnum):
    """``enum v4l2_colorfx``."""

    NONE = 0
    BW = 1
    SEPIA = 2
    NEGATIVE = 3
    EMBOSS = 4
    SKETCH = 5
    SKY_BLUE = 6
    GRASS_GREEN = 7
    SKIN_WHITEN = 8
    VIVID = 9
    AQUA = 10
    ART_FREEZE = 11
    SILHOUETTE = 12
    SOLARIZATION = 13
    ANTIQUE = 14
    SET_CBCR = 15
    SET_RGB = 16


class MpegStreamType(KernelEnum):
    """``enum v4l2_mpeg_stream_type``."""

    MPEG2_PS = 0
    MPEG2_TS = 1
    MPEG1_SS = 2
    MPEG2_DVD = 3
    MPEG1_VCD = 4
    MPEG2_SVCD = 5


class MpegStreamVbiFmt(KernelEnum):
    """``enum v4l2_mpeg_stream_vbi_fmt``."""

    NONE = 0
    IVTV = 1


class MpegAudioSamplingFreq(KernelEnum):
    """``enum v4l2_mpeg_audio_sampling_freq``."""

    _44100 = 0
    _48000 = 1
    _32000 = 2


class MpegAudioEncoding(KernelEnum):
    """``enum v4l2_mpeg_audio_encoding``."""

    LAYER_1 = 0
    LAYER_2 = 1
    LAYER_3 = 2
    AAC = 3
    AC3 = 4


class MpegAudioL1Bitrate(KernelEnum):
    """``enum v4l2_mpeg_audio_l1_bitrate``."""

    _32K = 0
    _64K = 1
    _96K = 2
    _128K = 3
    _160K = 4
    _192K = 5
    _224K = 6
    _256K = 7
    _288K = 8
    _320K = 9
    _352K = 10
    _384K = 11
    _416K = 12
    _448K = 13


class MpegAudioL2Bitrate(KernelEnum):
    """``enum v4l2_mpeg_audio_l2_bitrate``."""

    _32K = 0
    _48K = 1
    _56K = 2
    _64K = 3
    _80K = 4
    _96K = 5
    _112K = 6
    _128K = 7
    _160K = 8
    _192K = 9
    _224K = 10
    _256K = 11
    _320K = 12
    _384K = 13


class MpegAudioL3Bitrate(KernelEnum):
    """``enum v4l2_mpeg_audio_l3_bitrate``."""

    _32K = 0
    _40K = 1
    _48K = 2
    _56K = 3
    _64K = 4
    _80K = 5
    _96K = 6
    _112K = 7
    _128K = 8
    _160K = 9
    _192K = 10
    _224K = 11
    _256K = 12
    _320K = 13


class MpegAudioMode(KernelEnum):
    """``enum v4l2_mpeg_audio_mode``."""

    STEREO = 0
    JOINT_STEREO = 1
    DUAL = 2
    MONO = 3


class MpegAudioModeExtension(KernelEnum):
    """``enum v4l2_mpeg_audio_mode_extension``."""

    BOUND_4 = 0
    BOUND_8 = 1
    BOUND_12 = 2
    BOUND_16 = 3


class MpegAudioEmphasis(KernelEnum):
    """``enum v4l2_mpeg_audio_emphasis``."""

    NONE = 0
    _50_DIV_15_uS = 1
    CCITT_J17 = 2


class MpegAudioCrc(KernelEnum):
    """``enum v4l2_mpeg_audio_crc``."""

    NONE = 0
    CRC16 = 1


class MpegAudioAc3Bitrate(KernelEnum):
    """``enum v4l2_mpeg_audio_ac3_bitrate``."""

    _32K = 0
    _40K = 1
    _48K = 2
    _56K = 3
    _64K = 4
    _80K = 5
    _96K = 6
    _112K = 7
    _128K = 8
    _160K = 9
    _192K = 10
    _224K = 11
    _256K = 12
    _320K = 13
    _384K = 14
    _448K = 15
    _512K = 16
    _576K = 17
    _640K = 18


class MpegAudioDecPlayback(KernelEnum):
    """``enum v4l2_mpeg_audio_dec_playback``."""

    AUTO = 0
    STEREO = 1
    LEFT = 2
    RIGHT = 3
    MONO = 4
    SWAPPED_STEREO = 5


class MpegVideoEncoding(KernelEnum):
    """``enum v4l2_mpeg_video_encoding``."""

    MPEG_1 = 0
    MPEG_2 = 1
    MPEG_4_AVC = 2


class MpegVideoAspect(KernelEnum):
    """``enum v4l2_mpeg_video_aspect``."""

    _1x1 = 0
    _4x3 = 1
    _16x9 = 2
    _221x100 = 3


class MpegVideoBitrateMode(KernelEnum):
    """``enum v4l2_mpeg_video_bitrate_mode``."""

    VBR = 0
    CBR = 1
    CQ = 2


class MpegVideoHeaderMode(KernelEnum):
    """``enum v4l2_mpeg_video_header_mode``."""

    SEPARATE = 0
    JOINED_WITH_1ST_FRAME = 1


class MpegVideoMultiSliceMode(KernelEnum):
    """``enum v4l2_mpeg_video_multi_slice_mode``."""

    SLICE_MODE_SINGLE = 0
    SLICE_MODE_MAX_MB = 1
    SLICE_MODE_MAX_BYTES = 2
    SICE_MODE_MAX_MB = 1
    SICE_MODE_MAX_BYTES = 2


class MpegVideoIntraRefreshPeriodType(KernelEnum):
    """``enum v4l2_mpeg_video_intra_refresh_period_type``."""

    RANDOM = 0
    CYCLIC = 1


class MpegVideoMpeg2Level(KernelEnum):
    """``enum v4l2_mpeg_video_mpeg2_level``."""

    LOW = 0
    MAIN = 1
    HIGH_1440 = 2
    HIGH = 3


class MpegVideoMpeg2Profile(KernelEnum):
    """``enum v4l2_mpeg_video_mpeg2_profile``."""

    SIMPLE = 0
    MAIN = 1
    SNR_SCALABLE = 2
    SPATIALLY_SCALABLE = 3
    HIGH = 4
    MULTIVIEW = 5


class MpegVideoH264EntropyMode(KernelEnum):
    """``enum v4l2_mpeg_video_h264_entropy_mode``."""

    CAVLC = 0
    CABAC = 1


class MpegVideoH264Level(KernelEnum):
    """``enum v4l2_mpeg_video_h264_level``."""

    _1_0 = 0
    _1B = 1
    _1_1 = 2
    _1_2 = 3
    _1_3 = 4
    _2_0 = 5
    _2_1 = 6
    _2_2 = 7
    _3_0 = 8
    _3_1 = 9
    _3_2 = 10
    _4_0 = 11
    _4_1 = 12
    _4_2 = 13
    _5_0 = 14
    _5_1 = 15
    _5_2 = 16
    _6_0 = 17
    _6_1 = 18
    _6_2 = 19


class MpegVideoH264LoopFilterMode(KernelEnum):
    """``enum v4l2_mpeg_video_h264_loop_filter_mode``."""

    ENABLED = 0
    DISABLED = 1
    DISABLED_AT_SLICE_BOUNDARY = 2


class MpegVideoH264Profile(KernelEnum):
    """``enum v4l2_mpeg_video_h264_profile``."""

    BASELINE = 0
    CONSTRAINED_BASELINE = 1
    MAIN = 2
    EXTENDED = 3
    HIGH = 4
    HIGH_10 = 5
    HIGH_422 = 6
    HIGH_444_PREDICTIVE = 7
    HIGH_10_INTRA = 8
    HIGH_422_INTRA = 9
    HIGH_444_INTRA = 10
    CAVLC_444_INTRA = 11
    SCALABLE_BASELINE = 12
    SCALABLE_HIGH = 13
    SCALABLE_HIGH_INTRA = 14
    STEREO_HIGH = 15
    MULTIVIEW_HIGH = 16
    CONSTRAINED_HIGH = 17


class MpegVideoH264VuiSarIdc(KernelEnum):
    """``enum v4l2_mpeg_video_h264_vui_sar_idc``."""

    UNSPECIFIED = 0
    _1x1 = 1
    _12x11 = 2
    _10x11 = 3
    _16x11 = 4
    _40x33 = 5
    _24x11 = 6
    _20x11 = 7
    _32x11 = 8
    _80x33 = 9
    _18x11 = 10
    _15x11 = 11
    _64x33 = 12
    _160x99 = 13
    _4x3 = 14
    _3x2 = 15
    _2x1 = 16
    EXTENDED = 17


class MpegVideoH264SeiFpArrangementType(KernelEnum):
    """``enum v4l2_mpeg_video_h264_sei_fp_arrangement_type``."""

    CHECKERBOARD = 0
    COLUMN = 1
    ROW = 2
    SIDE_BY_SIDE = 3
    TOP_BOTTOM = 4
    TEMPORAL = 5


class MpegVideoH264FmoMapType(KernelEnum):
    """``enum v4l2_mpeg_video_h264_fmo_map_type``."""

    INTERLEAVED_SLICES = 0
    SCATTERED_SLICES = 1
    FOREGROUND_WITH_LEFT_OVER = 2
    BOX_OUT = 3
    RASTER_SCAN = 4
    WIPE_SCAN = 5
    EXPLICIT = 6


class MpegVideoH264FmoChangeDir(KernelEnum):
    """``enum v4l2_mpeg_video_h264_fmo_change_dir``."""

    RIGHT = 0
    LEFT = 1


class MpegVideoH264HierarchicalCodingType(KernelEnum):
    """``enum v4l2_mpeg_video_h264_hierarchical_coding_type``."""

    B = 0
    P = 1


class MpegVideoMpeg4Level(KernelEnum):
    """``enum v4l2_mpeg_video_mpeg4_level``."""

    _0 = 0
    _0B = 1
    _1 = 2
    _2 = 3
    _3 = 4
    _3B = 5
    _4 = 6
    _5 = 7


class MpegVideoMpeg4Profile(KernelEnum):
    """``enum v4l2_mpeg_video_mpeg4_profile``."""

    SIMPLE = 0
    ADVANCED_SIMPLE = 1
    CORE = 2
    SIMPLE_SCALABLE = 3
    ADVANCED_CODING_EFFICIENCY = 4


class Vp8NumPartitions(KernelEnum):
    """``enum v4l2_vp8_num_partitions``."""

    _1_PARTITION = 0
    _2_PARTITIONS = 1
    _4_PARTITIONS = 2
    _8_PARTITIONS = 3


class Vp8NumRefFrames(KernelEnum):
    """``enum v4l2_vp8_num_ref_frames``."""

    _1_REF_FRAME = 0
    _2_REF_FRAME = 1
    _3_REF_FRAME = 2


class Vp8GoldenFrameSel(KernelEnum):
    """``enum v4l2_vp8_golden_frame_sel``."""

    PREV = 0
    REF_PERIOD = 1


class MpegVideoVp8Profile(KernelEnum):
    """``enum v4l2_mpeg_video_vp8_profile``."""

    _0 = 0
    _1 = 1
    _2 = 2
    _3 = 3


class MpegVideoVp9Profile(KernelEnum):
    """``enum v4l2_mpeg_video_vp9_profile``."""

    _0 = 0
    _1 = 1
    _2 = 2
    _3 = 3


class MpegVideoVp9Level(KernelEnum):
    """``enum v4l2_mpeg_video_vp9_level``."""

    _1_0 = 0
    _1_1 = 1
    _2_0 = 2
    _2_1 = 3
    _3_0 = 4
    _3_1 = 5
    _4_0 = 6
    _4_1 = 7
    _5_0 = 8
    _5_1 = 9
    _5_2 = 10
    _6_0 = 11
    _6_1 = 12
    _6_2 = 13


class MpegVideoHevcHierCodingType(KernelEnum):
    """``enum v4l2_mpeg_video_hevc_hier_coding_type``."""

    B = 0
    P = 1


class MpegVideoHevcProfile(KernelEnum):
    """``enum v4l2_mpeg_video_hevc_profile``."""

    MAIN = 0
    MAIN_STILL_PICTURE = 1
    MAIN_10 = 2


class MpegVideoHevcLevel(KernelEnum):
    """``enum v4l2_mpeg_video_hevc_level``."""

    _1 = 0
    _2 = 1
    _2_1 = 2
    _3 = 3
    _3_1 = 4
    _4 = 5
    _4_1 = 6
    _5 = 7
    _5_1 = 8
    _5_2 = 9
    _6 = 10
    _6_1 = 11
    _6_2 = 12


class MpegVideoHevcTier(KernelEnum):
    """``enum v4l2_mpeg_video_hevc_tier``."""

    MAIN = 0
    HIGH = 1


class MpegVideoHevcLoopFilterMode(KernelEnum):
    """``enum v4l2_cid_mpeg_video_hevc_loop_filter_mode``."""

    DISABLED = 0
    ENABLED = 1
    DISABLED_AT_SLICE_BOUNDARY = 2


class MpegVideoHevcRefreshType(KernelEnum):
    """``enum v4l2_cid_mpeg_video_hevc_refresh_type``."""

    NONE = 0
    CRA = 1
    IDR = 2


class MpegVideoHevcSizeOfLengthField(KernelEnum):
    """``enum v4l2_cid_mpeg_video_hevc_size_of_length_field``."""

    _0 = 0
    _1 = 1
    _2 = 2
    _4 = 3


class MpegVideoFrameSkipMode(KernelEnum):
    """``enum v4l2_mpeg_video_frame_skip_mode``."""

    DISABLED = 0
    LEVEL_LIMIT = 1
    BUF_LIMIT = 2


class MpegVideoAv1Profile(KernelEnum):
    """``enum v4l2_mpeg_video_av1_profile``."""

    MAIN = 0
    HIGH = 1
    PROFESSIONAL = 2


class MpegVideoAv1Level(KernelEnum):
    """``enum v4l2_mpeg_video_av1_level``."""

    _2_0 = 0
    _2_1 = 1
    _2_2 = 2
    _2_3 = 3
    _3_0 = 4
    _3_1 = 5
    _3_2 = 6
    _3_3 = 7
    _4_0 = 8
    _4_1 = 9
    _4_2 = 10
    _4_3 = 11
    _5_0 = 12
    _5_1 = 13
    _5_2 = 14
    _5_3 = 15
    _6_0 = 16
    _6_1 = 17
    _6_2 = 18
    _6_3 = 19
    _7_0 = 20
    _7_1 = 21
    _7_2 = 22
    _7_3 = 23


class MpegCx2341xVideoSpatialFilterMode(KernelEnum):
    """``enum v4l2_mpeg_cx2341x_video_spatial_filter_mode``."""

    MANUAL = 0
    AUTO = 1


class MpegCx2341xVideoLumaSpatialFilterType(KernelEnum):
    """``enum v4l2_mpeg_cx2341x_video_luma_spatial_filter_type``."""

    OFF = 0
    _1D_HOR = 1
    _1D_VERT = 2
    _2D_HV_SEPARABLE = 3
    _2D_SYM_NON_SEPARABLE = 4


class MpegCx2341xVideoChromaSpatialFilterType(KernelEnum):
    """``enum v4l2_mpeg_cx2341x_video_chroma_spatial_filter_type``."""

    OFF = 0
    _1D_HOR = 1


class MpegCx2341xVideoTemporalFilterMode(KernelEnum):
    """``enum v4l2_mpeg_cx2341x_video_temporal_filter_mode``."""

    MANUAL = 0
    AUTO = 1


class MpegCx2341xVideoMedianFilterType(KernelEnum):
    """``enum v4l2_mpeg_cx2341x_video_median_filter_type``."""

    OFF = 0
    HOR = 1
    VERT = 2
    HOR_VERT = 3
    DIAG = 4


class MpegMfc51VideoFrameSkipMode(KernelEnum):
    """``enum v4l2_mpeg_mfc51_video_frame_skip_mode``."""

    DISABLED = 0
    LEVEL_LIMIT = 1
    BUF_LIMIT = 2


class MpegMfc51VideoForceFrameType(KernelEnum):
    """``enum v4l2_mpeg_mfc51_video_force_frame_type``."""

    DISABLED = 0
    I_FRAME = 1
    NOT_CODED = 2


class ExposureAutoType(KernelEnum):
    """``enum v4l2_exposure_auto_type``."""

    AUTO = 0
    MANUAL = 1
    SHUTTER_PRIORITY = 2
    APERTURE_PRIORITY = 3


class AutoNPresetWhiteBalance(KernelEnum):
    """``enum v4l2_auto_n_preset_white_balance``."""

    MANUAL = 0
    AUTO = 1
    INCANDESCENT = 2
    FLUORESCENT = 3
    FLUORESCENT_H = 4
    HORIZON = 5
    DAYLIGHT = 6
    FLASH = 7
    CLOUDY = 8
    SHADE = 9


class IsoSensitivityAutoType(KernelEnum):
    """``enum v4l2_iso_sensitivity_auto_type``."""

    MANUAL = 0
    AUTO = 1


class ExposureMetering(KernelEnum):
    """``enum v4l2_exposure_metering``."""

    AVERAGE = 0
    CENTER_WEIGHTED = 1
    SPOT = 2
    MATRIX = 3


class SceneMode(KernelEnum):
    """``enum v4l2_scene_mode``."""

    NONE = 0
    BACKLIGHT = 1
    BEACH_SNOW = 2
    CANDLE_LIGHT = 3
    DAWN_DUSK = 4
    FALL_COLORS = 5
    FIREWORKS = 6
    LANDSCAPE = 7
    NIGHT = 8
    PARTY_INDOOR = 9
    PORTRAIT = 10
    SPORTS = 11
    SUNSET = 12
    TEXT = 13


class AutoFocusRange(KernelEnum):
    """``enum v4l2_auto_focus_range``."""

    AUTO = 0
    NORMAL = 1
    MACRO = 2
    INFINITY = 3


class Preemphasis(KernelEnum):
    """``enum v4l2_preemphasis``."""

    DISABLED = 0
    _50_uS = 1
    _75_uS = 2


class FlashLedMode(KernelEnum):
    """``enum v4l2_flash_led_mode``."""

    NONE = 0
    FLASH = 1
    TORCH = 2


class FlashStrobeSource(KernelEnum):
    """``enum v4l2_flash_strobe_source``."""

    SOFTWARE = 0
    EXTERNAL = 1


class JpegChromaSubsampling(KernelEnum):
    """``enum v4l2_jpeg_chroma_subsampling``."""

    _444 = 0
    _422 = 1
    _420 = 2
    _411 = 3
    _410 = 4
    GRAY = 5


class DvTxMode(KernelEnum):
    """``enum v4l2_dv_tx_mode``."""

    DVI_D = 0
    HDMI = 1


class DvRgbRange(KernelEnum):
    """``enum v4l2_dv_rgb_range``."""

    AUTO = 0
    LIMITED = 1
    FULL = 2


class DvItContentType(KernelEnum):
    """``enum v4l2_dv_it_content_type``."""

    GRAPHICS = 0
    PHOTO = 1
    CINEMA = 2
    GAME = 3
    NO_ITC = 4


class Deemphasis(KernelEnum):
    """``enum v4l2_deemphasis``."""

    DISABLED = 0
    _50_uS = 1
    _75_uS = 2


class DetectMdMode(KernelEnum):
    """``enum v4l2_detect_md_mode``."""

    DISABLED = 0
    GLOBAL = 1
    THRESHOLD_GRID = 2
    REGION_GRID = 3


class StatelessH264DecodeMode(KernelEnum):
    """``enum v4l2_stateless_h264_decode_mode``."""

    SLICE_BASED = 0
    FRAME_BASED = 1


class StatelessH264StartCode(KernelEnum):
    """``enum v4l2_stateless_h264_start_code``."""

    NONE = 0
    ANNEX_B = 1


class StatelessHevcDecodeMode(KernelEnum):
    """``enum v4l2_stateless_hevc_decode_mode``."""

    SLICE_BASED = 0
    FRAME_BASED = 1


class StatelessHevcStartCode(KernelEnum):
    """``enum v4l2_stateless_hevc_start_code``."""

    NONE = 0
    ANNEX_B = 1


class Av1WarpModel(KernelEnum):
    """``enum v4l2_av1_warp_model``."""

    IDENTITY = 0
    TRANSLATION = 1
    ROTZOOM = 2
    AFFINE = 3


class Av1ReferenceFrame(KernelEnum):
    """``enum v4l2_av1_reference_frame``."""

    INTRA_FRAME = 0
    LAST_FRAME = 1
    LAST2_FRAME = 2
    LAST3_FRAME = 3
    GOLDEN_FRAME = 4
    BWDREF_FRAME = 5
    ALTREF2_FRAME = 6
    ALTREF_FRAME = 7


class Av1FrameRestorationType(KernelEnum):
    """``enum v4l2_av1_frame_restoration_type``."""

    NONE = 0
    WIENER = 1
    SGRPROJ = 2
    SWITCHABLE = 3


class Av1SegmentFeature(KernelEnum):
    """``enum v4l2_av1_segment_feature``."""

    ALT_Q = 0
    ALT_LF_Y_V = 1
    REF_FRAME = 5
    REF_SKIP = 6
    REF_GLOBALMV = 7
    MAX = 8


class Av1FrameType(KernelEnum):
    """``enum v4l2_av1_frame_type``."""

    KEY_FRAME = 0
    INTER_FRAME = 1
    INTRA_ONLY_FRAME = 2
    SWITCH_FRAME = 3


class Av1InterpolationFilter(KernelEnum):
    """``enum v4l2_av1_interpolation_filter``."""

    EIGHTTAP = 0
    EIGHTTAP_SMOOTH = 1
    EIGHTTAP_SHARP = 2
    BILINEAR = 3
    SWITCHABLE = 4


class Av1TxMode(KernelEnum):
    """``enum v4l2_av1_tx_mode``."""

    ONLY_4X4 = 0
    LARGEST = 1
    SELECT = 2


class Lock3A(KernelFlag):
    """V4L2_CID_3A_LOCK."""

    EXPOSURE = 1
    WHITE_BALANCE = 2
    FOCUS = 4


class AutoFocusStatus(KernelFlag):
    """V4L2_CID_AUTO_FOCUS_STATUS."""

    IDLE = 0
    BUSY = 1
    REACHED = 2
    FAILED = 4


class CameraOrientation(KernelEnum):
    """V4L2_CID_CAMERA_ORIENTATION."""

    FRONT = 0
    BACK = 1
    EXTERNAL = 2


class FlashFault(KernelFlag):
    """V4L2_CID_FLASH_FAULT."""

    OVER_VOLTAGE = 1
    TIMEOUT = 2
    OVER_TEMPERATURE = 4
    SHORT_CIRCUIT = 8
    OVER_CURRENT = 0x10
    INDICATOR = 0x20
    UNDER_VOLTAGE = 0x40
    INPUT_VOLTAGE = 0x80
    LED_OVER_TEMPERATURE = 0x100


class JpegActiveMarker(KernelFlag):
    """V4L2_CID_JPEG_ACTIVE_MARKER."""

    APP0 = 1
    APP1 = 2
    COM = 0x10000
    DQT = 0x20000
    DHT = 0x40000
