// Why a picture has failed. The daemon says it in English, also in the manifest and in the log. The
// most frequent reasons have a Chinese form here; all others stay as they are. A test makes the
// daemon say each of them, and looks whether it is understood.

import { inChinese, isChinese } from "./phrases.js";

const KINDS = { picture: "图片" };

// What the daemon says, and the same in Chinese: {1} is what stands in the first brackets.
const CHINESE = [
  [/^the file is empty: /, "文件是空的，请重新复制或上传。"],
  [/^not a picture in a known format/, "无法识别的图片格式，请转换成 JPEG 或 PNG。"],
  [/^the (\S+) is truncated or damaged \((.*)\): /s, "{1}文件不完整或已损坏（{2}），请重新复制或上传。"],
  [/^a HEIC picture: /, "这是 HEIC 图片：请在服务器上安装 pillow-heif，或先转换成 JPEG。"],
  [/^a camera's raw file \((.*)\): /, "这是相机的 RAW 文件（{1}），请导出为 JPEG 或 TIFF。"],
  [/^a JPEG of a kind that cannot be read \((.*)\): /s, "不支持这种 JPEG（{1}），请另存为普通 JPEG 或 PNG。"],
  [/^a TIFF of a kind that cannot be read \((.*)\): save it as RGB/s, "不支持这种 TIFF（{1}），请另存为 8 位或 16 位的 RGB。"],
  [/^a TIFF with (.*), which cannot be read: /, "不支持这种 TIFF（{1}），请用 LZW 压缩另存。"],
  [/^a (\S+) of a kind that cannot be read \((.*)\): /s, "不支持这种{1}（{2}），请另存为 PNG。"],
  [/^(\d+)x(\d+) is (\S+) megapixels; the limit is (\S+) \((.*)\): /, "图片太大：{1}×{2}，共 {3} 百万像素，上限是 {4}（{5}）。请缩小图片，或提高上限。"],
  [/^the file has (\S+) MB; the limit is (\S+) \((.*)\): /, "文件太大：{1} MB，上限是 {2} MB（{3}）。请缩小文件，或提高上限。"],
  [/^decoding it took longer than (\S+) s \((.*)\): /, "解码超过 {1} 秒（{2}）。请重新保存图片，或提高上限。"],
  [/^decoding it needs more than (\S+) MB, /, "解码需要的内存超过 {1} MB，远超正常大小，请重新保存图片。"],
  [/^its decoder crashed \((.*)\): /, "解码程序崩溃了（{1}），请重新保存图片。"],
  [/^(\S+) cannot hold this (\d+)x(\d+) picture .*: choose (\S+)$/s, "{1} 格式放不下 {2}×{3} 的图片，请改用 {4}。"],
  [/^its result's name (.*) is taken \(output\.clash: fail\): /, "结果的文件名 {1} 已被占用（output.clash: fail）：请移走那个文件，或改为 clash: version，然后重试。"],
  [/^the original vanished before it was read$/, "还没读取，原图就不见了。"],
  [/^may not be read: (.*); correct its mode, then retry$/, "没有读取权限（{1}）：请修改文件权限，然后重试。"],
  [/^it asked for model '(.*)', which is no longer in models:$/, "它要用的模型 {1} 已不在 models: 中。"],
  [/^rejected by a person who looked at the result$/, "有人看过结果后弃用。"],
  [/^the daemon died (\d+) times while this picture was in work/, "处理这张图片时，服务崩溃了 {1} 次。"],
  [/^the daemon was ended (\d+) times while this picture was in work/, "处理这张图片时，服务被强行结束了 {1} 次：机器的内存够吗？"],
];
const GIVEN_UP = /^(.*) \(given up after (\d+) attempts\)$/s;

// Return the reason in the language of the page, as far as it is known.
export function whyFailed(reason) {
  if (!reason || !isChinese()) {
    return reason || "";
  }
  const tried = GIVEN_UP.exec(reason);
  if (tried) {
    return `${whyFailed(tried[1])}（尝试 ${tried[2]} 次后放弃）`;
  }
  return inChinese(CHINESE, reason, (part) => KINDS[part] ?? part) ?? reason;
}
