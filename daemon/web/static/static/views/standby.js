// Why a hot folder stands by or is polled, in the language of the page. A test makes the daemon say
// each of these reasons, and looks whether it is understood.

import { whyNoCluster } from "./cluster-reasons.js";
import { inChinese } from "./phrases.js";

const STANDBY = [
  [/^(.+) is not there \(deleted, renamed or not mounted\)$/, "{1} 不存在（被删除、改名或没有挂载）。"],
  [/^(.+) is not mounted any more$/, "{1} 已不再挂载。"],
  [/^(.+) has no free inodes \(df -i\): delete files there$/, "{1} 的 inode 已用完（df -i）：请删除那里的一些文件。"],
  [/^(.+) has (\d+) MB free and needs (\d+) \((.+)\): make room$/, "{1} 只剩 {2} MB，至少需要 {3} MB（{4}）：请腾出空间。"],
  [/^(.+) may not be written by this user: (.+)$/, "运行服务的用户不能写入 {1}：请运行 {2}。"],
  [/^(.+) cannot be written: (.+)$/, "无法写入 {1}：{2}"],
  [/^(.+) is in use by another cvunetd \(process (\d+)\): /, "另一个 cvunetd（进程 {2}）正在使用 {1}：请先停止它。"],
  [/^(.+) cannot be had: its lock (.+) is held by (.+): end that process$/, "无法使用 {1}：它的锁文件 {2} 被占用（{3}），请结束占用它的进程。"],
  [/^(.+) was deleted or replaced under the running daemon: /, "服务运行期间，{1} 被删除或替换了：请把它放回原处，或重建它所在的文件夹。"],
  [/^(.+) is a link: remove it$/, "{1} 是一个链接：请删除它。"],
  [/^(.+) is on another mount: unmount it$/, "{1} 上另外挂载了文件系统：请卸载。"],
  [/^(.+) belongs to user (\d+) and not to the daemon's user: /, "{1} 属于用户 {2}，而不是运行服务的用户：请把它移走。"],
  [/^background (.+) is a clip, and PyAV is not installed: install (.+), or correct output\.background$/, "背景 {1} 是视频，但没有安装 PyAV：请安装 {2}，或修改 output.background。"],
  [/^background (.+) cannot be read: (.+); (?:put it back, or )?correct output\.background$/, "无法读取背景 {1}（{2}）：请把它放回原处，或修改 output.background。"],
];

const POLLED = [
  [/^set so \((.+)\)$/, "按设置（{1}）定时扫描。"],
  [/^(.+) tells nothing of what other machines write$/, "{1} 不会通知其他机器写入的文件，因此定时扫描。"],
  [/^(.+); allow more: (.+)$/, "{1}：请提高上限：{2}"],
];

// Return why a folder stands by or is polled, as far as it is known.
export function whyNotServed(reason) {
  return inChinese(STANDBY, reason) ?? inChinese(POLLED, reason) ?? whyNoCluster(reason) ?? reason;
}
