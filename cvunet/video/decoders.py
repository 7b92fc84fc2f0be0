"""Which of libavcodec's decoders a clip may use: those of cameras, phones, browsers and editors.

The others are old or rare, and seldom looked at for faults; a clip can choose its decoder.
"""

from cvunet.video.clips import ClipKind

#: Name of libavformat's demuxer.
DEMUXERS: dict[ClipKind, str] = {
    "mp4": "mov",
    "mov": "mov",
    "avif": "mov",
    "mkv": "matroska",
    "webm": "matroska",
    "avi": "avi",
    "gif": "gif",
}
# fmt: off
PICTURES = frozenset((
    "h264", "hevc", "vp8", "vp9", "libvpx", "libvpx-vp9", "libdav1d", "av1", "mpeg4", "msmpeg4v1",
    "msmpeg4v2", "msmpeg4", "msmpeg4v3", "mpeg1video", "mpeg2video", "h263", "flv", "mjpeg",
    "mjpegb", "prores", "dnxhd", "cfhd", "qtrle", "png", "ffv1", "ffvhuff", "huffyuv", "utvideo",
    "magicyuv", "rawvideo", "v210", "dvvideo", "cinepak", "svq1", "svq3", "theora", "vc1", "wmv1",
    "wmv2", "wmv3", "jpeg2000", "rle", "msrle", "bmp", "gif", "webp",
))
SOUNDS = frozenset((
    "aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis", "flac", "alac",
    "ac3", "eac3", "wavpack", "dca", "truehd", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be",
    "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_u8", "pcm_s8",
    "pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms", "wmav1", "wmav2",
    "wmapro", "amrnb", "amrwb", "libopencore_amrnb",
))
# fmt: on
#: They decode alpha, which libavcodec's own decoders of these codecs drop.
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
WHITELIST = ",".join(sorted(PICTURES | SOUNDS))
