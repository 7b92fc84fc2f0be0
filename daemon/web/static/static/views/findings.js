// What `cvunetd doctor` finds, in the language of the page. Commands stay as they are. A test makes
// the doctor say each of these, and looks whether it is understood.

import { clusterMend, difference, whyNoCluster, whyUnused } from "./cluster-reasons.js";
import { inChinese, isChinese } from "./phrases.js";
import { whyNotServed } from "./standby.js";

const CHECKS = [
  [/^configuration$/, "配置"],
  [/^set-up$/, "安装"],
  [/^overlapping paths$/, "路径重叠"],
  [/^permissions$/, "权限"],
  [/^permissions of (.+)$/, "权限：{1}"],
  [/^pictures of (.+)$/, "{1} 中的图片"],
  [/^file system of (.+)$/, "文件系统：{1}"],
  [/^room for (.+)$/, "剩余空间：{1}"],
  [/^clips$/, "视频"],
  [/^inotify watches$/, "inotify watch 数"],
  [/^inotify instances$/, "inotify 实例数"],
  [/^inotify queue$/, "inotify 队列"],
  [/^weights$/, "权重"],
  [/^weights of (.+)$/, "权重：{1}"],
  [/^device$/, "计算设备"],
  [/^device of (.+)$/, "计算设备：{1}"],
  [/^GPU driver$/, "GPU 驱动"],
  [/^GPU nodes$/, "GPU 设备文件"],
  [/^clock$/, "系统时间"],
  [/^ledger$/, "状态数据库"],
  [/^unit$/, "systemd unit"],
  [/^unit's score$/, "unit 的安全评分"],
  [/^unit's paths$/, "unit 的可写路径"],
  [/^page$/, "网页"],
  [/^metrics$/, "监控指标"],
  [/^hooks$/, "钩子（hooks）"],
  [/^cluster$/, "集群"],
  [/^node (\S+)$/, "机器 {1}"],
  [/^node (\S+) (\S+)$/, "机器 {1}：{2}"],
  [/^daemon$/, "服务"],
];

const PLACES = {
  output: "输出", state: "状态", quarantine: "隔离区", background: "背景", program: "程序", folder: "文件夹", weights: "权重", clock: "系统时间",
};

const TEXTS = [
  [/^(.+): without a fault$/, "{1}：没有问题。"],
  [/^no folder lies inside another$/, "各文件夹互不包含。"],
  [/^(.+) does not exist$/, "{1} 不存在。"],
  [/^(.+) is made when it is needed: .+$/, "{1} 会在需要时自动建立。"],
  [/^(.+) may be (?:read and written|read|run) by (.+)$/, "用户 {2} 对 {1} 的权限足够。"],
  [/^(.+) may not be read and written by (.+)$/, "用户 {2} 不能读写 {1}。"],
  [/^(.+) may not be read by (?:user )?(.+)$/, "用户 {2} 不能读取 {1}。"],
  [/^(.+) may not be run by (.+)$/, "用户 {2} 不能运行 {1}。"],
  [/^(.+) is not writable for (.+)$/, "用户 {2} 不能写入 {1}。"],
  [/^(.+) cannot be reached: (.+) is closed to (.+)$/, "无法访问 {1}：用户 {3} 不能进入 {2}。"],
  [/^(.+) is no folder$/, "{1} 不是文件夹。"],
  [/^(.+) is on a file system that is mounted read-only$/, "{1} 所在的文件系统是只读挂载的。"],
  [/^the state folder belongs to (.+): /, "状态文件夹属于用户 {1}：其他用户在这里能检查的很少。"],
  [/^(\d+) files and sub-folders looked at: all can be taken$/, "查看了 {1} 个文件和子文件夹：都可以取走。"],
  [/^(.+) is on (.+), which tells nothing of what other machines write$/, "{1} 在 {2} 上，它不会通知其他机器写入的文件。"],
  [/^(.+) \((.+)\) and (.+) are on two disks: /, "{1}（{2}）和 {3} 不在同一磁盘上：原图只能复制过去，不能直接改名。"],
  [/^(.+) is on (.+): all of it is lost when the machine starts anew$/, "{1} 在 {2} 上：机器重启后内容会全部丢失。"],
  [/^(.+) is on (.+): SQLite's write-ahead log does not work there$/, "{1} 在 {2} 上：SQLite 的预写日志（WAL）在那里无法工作。"],
  [/^(.+) is on (.+): watched$/, "{1} 在 {2} 上：靠文件事件监控。"],
  [/^(.+) is on (.+): polled, .+$/, "{1} 在 {2} 上：定时扫描。"],
  [/^(\S+) is on (\S+)$/, "{1} 在 {2} 上。"],
  [/^(.+) has (\d+) MB, (\d+) free inodes; needed (\d+) MB: soon too little$/, "{1} 可用 {2} MB，{3} 个 inode；至少需要 {4} MB：快不够了。"],
  [/^(.+) has (\d+) MB, (\d+) free inodes; needed (\d+) MB$/, "{1} 可用 {2} MB，{3} 个 inode；至少需要 {4} MB。"],
  [/^(.+) has (\d+) MB; needed (\d+) MB: soon too little$/, "{1} 可用 {2} MB；至少需要 {3} MB：快不够了。"],
  [/^(.+) has (\d+) MB; needed (\d+) MB$/, "{1} 可用 {2} MB；至少需要 {3} MB。"],
  [/^cut out frame by frame, by PyAV (.*)$/, "由 PyAV {1} 逐帧抠图。"],
  [/^no folder has them cut out \((.+)\)$/, "没有文件夹设置为抠视频（{1}）。"],
  [/^(?:at least )?(\d+) of (\d+) are used, (\d+) more needed: folders are polled$/, "上限 {2}，已用 {1}，还需要 {3}：文件夹改为定时扫描。"],
  [/^(?:at least )?(\d+) of (\d+) are used, (\d+) more needed$/, "上限 {2}，已用 {1}，还需要 {3}。"],
  [/^(?:at least )?(\d+) of (\d+) are used(?:: folders are polled)?$/, "上限 {2}，已用 {1}。"],
  [/^(\d+) events may wait to be read$/, "最多可以有 {1} 个事件等待读取。"],
  [/^(.+) is as its manifest says$/, "{1} 与清单一致。"],
  [/^(.+) is (.+) here$/, "{1} 在这里就是 {2}。"],
  [/^model\.device is cpu$/, "model.device 设为 cpu。"],
  [/^this machine has no NVIDIA card: the CPU does the work$/, "这台机器没有 NVIDIA 显卡：由 CPU 计算。"],
  [/^this machine has no NVIDIA card$/, "这台机器没有 NVIDIA 显卡。"],
  [/^there is an NVIDIA card, but its driver is not loaded$/, "有 NVIDIA 显卡，但没有加载驱动。"],
  [/^the kernel does not tell how many events may wait$/, "内核没有给出最多可等待的事件数。"],
  [/^the kernel does not tell its limit$/, "内核没有给出上限。"],
  [/^the network cannot be loaded: (.+)$/, "无法加载网络：{1}"],
  [/^\/dev\/(.+) may not be used by (.+)$/, "用户 {2} 不能使用 /dev/{1}。"],
  [/^\/dev\/(.+) is missing$/, "缺少 /dev/{1}。"],
  [/^(.+) and their control nodes are there$/, "{1} 和控制用的设备文件都在。"],
  [/^it is set by a time server$/, "由时间服务器校准。"],
  [/^it is not set by a time server: /, "没有由时间服务器校准：文件夹的名称可能出错，或被过早删除。"],
  [/^the date is (\S+): long past$/, "日期是 {1}，明显过早。"],
  [/^timedatectl /, "无法得知是否由时间服务器校准。"],
  [/^systemd-analyze is not there$/, "没有 systemd-analyze。"],
  [/^systemd-analyze does not answer$/, "systemd-analyze 没有响应。"],
  [/^systemd-analyze gave none: (.+)$/, "systemd-analyze 没有给出评分：{1}"],
  [/^no (.+) is installed$/, "没有安装 {1}。"],
  [/^(.+) has an exposure of (\S+); up to (\S+) is well$/, "{1} 的暴露程度是 {2}；不超过 {3} 即可。"],
  [/^the unit may write all that it has to$/, "unit 可以写入所有需要的地方。"],
  [/^the unit may not write (.+)$/, "unit 不能写入 {1}。"],
  [/^the unit waits to be told that the daemon is ready, /, "unit 在等服务报告就绪，但没有安装 systemd-python，报告不了。"],
  [/^(\S+\.listen) is null$/, "没有启用（{1} 为 null）。"],
  [/^(\S+) is (.+), but (.+) is missing$/, "{1} 设为 {2}，但没有安装 {3}。"],
  [/^(?:served|told) at (.+)$/, "地址：{1}。"],
  [/^none is configured$/, "没有配置。"],
  [/^web\.server_folders: (.+) is no folder, or out of reach$/, "web.server_folders：{1} 不是文件夹，或无法访问。"],
  [/^(.+) is not there: nothing was ever done$/, "{1} 不存在：还没有处理过任何图片。"],
  [/^(.+) may not be read by this user: ask as root$/, "当前用户不能读取 {1}：请用 root 运行。"],
  [/^(.+) can be read$/, "{1} 可以读取。"],
  [/^it is not running$/, "没有运行。"],
  [/^process (\d+) loads its model$/, "进程 {1} 正在加载模型。"],
  [/^process (\d+) serves on (.+)$/, "进程 {1} 正在 {2} 上运行。"],
  [/^no progress: (.+)$/, "没有进展：{1}"],
  [/^(\d+) of (.+) cannot be taken, such as (.+?): (.+)$/, "{2} 中有 {1} 个文件取不走，例如 {3}：{4}"],
  [/^cannot be taken: (.+)$/, "取不走：{1}"],
  [/^cannot be looked at: (.+)$/, "无法检查：{1}"],
  [/^(\d+) nodes? at (\S+)$/, "集群 {2} 有 {1} 台机器。"],
  [/^(\S+): sees what we see; it has room for (\d+) workers?$/, "{1}：与服务所在的机器一致，可容纳 {2} 个工作进程。"],
  [/^(\S+): no worker runs there$/, "{1}：没有工作进程。"],
  [/^the unit has a network$/, "unit 可以访问网络。"],
  [/^the unit has no network: webhooks reach nobody$/, "unit 不能访问网络：webhook 发不出去。"],
  [/^the unit loads no credential (.+)$/, "unit 没有加载凭据 {1}。"],
  [/^servers are checked by (.+)$/, "用 {1} 验证服务器。"],
  [/^the system's certificates are missing \((.+)\)$/, "缺少系统证书（{1}）。"],
  [/^(.+), a key, may be read by everybody$/, "任何人都能读取密钥文件 {1}。"],
  [/^(.+) may be changed by everybody$/, "任何人都能改动 {1}。"],
];

// Why a hook of the configuration cannot be used.
const HOOK_FAULTS = [
  [/^a url needs urllib3 2, which cannot be loaded \((.+)\): (.+), or use a command$/, "url 需要 urllib3 2，但无法加载（{1}）：请运行 {2}，或改用 command。"],
  [/^(.+) is not there, or closed to this user$/, "{1} 不存在，或当前用户不能访问。"],
  [/^(.+) is not executable: chmod \+x, and the #! line$/, "{1} 不能执行：请用 chmod +x 加上执行权限，并检查开头的 #! 行。"],
  [/^no program (.+) in PATH: write its path$/, "PATH 中没有程序 {1}：请写出它的路径。"],
  [/^ca_file (.+) cannot be used: (.+)$/, "ca_file {1} 无法使用：{2}"],
  [/^(.+) cannot be read: (.+)$/, "无法读取 {1}：{2}"],
  [/^(.+): what follows whsec_ is not base64$/, "{1}：whsec_ 后面的内容不是 base64。"],
  [/^(.+) holds (\d+) bytes, a key has (\d+) to (\d+): (.+)$/, "{1} 有 {2} 字节，密钥应为 {3} 到 {4} 字节：{5}"],
];

const STANDS_BY = /^(\S+) stands by: (.+)$/s;
const IS_POLLED = /^(\S+) is polled: (.+)$/s;

const MENDS = [
  [/^fix what it says; the folder resumes by itself within 10 s$/, "请按上面所说的处理；之后 10 秒内，该文件夹会自动恢复。"],
  [/^nothing need be done$/, "不需要处理。"],
  [/^install cvunet-daemon anew, into an environment of its own$/, "请在单独的环境里重新安装 cvunet-daemon。"],
  [/^in the configuration, at folder (.+): (.+)$/, "在配置中，文件夹 {1}：{2}"],
  [/^in the configuration: (\S+): a folder on a disk$/, "在配置中，把 {1} 设为磁盘上的文件夹。"],
  [/^in the configuration: (.+)$/, "在配置中：{1}"],
  [/^see what takes the room: (.+); or set (.+) lower$/, "查看什么占用了空间：{1}；或调低 {2}。"],
  [/^see where the many files are: (.+)$/, "查看哪里文件最多：{1}"],
  [/^see what is open: (.+)$/, "查看有哪些未限制：{1}"],
  [/^add (.+) to (.+), then systemctl daemon-reload$/, "请在 {2} 中加入 {1}，再运行 systemctl daemon-reload。"],
  [/^(apt-get install ca-certificates), or set ca_file$/, "请运行 {1}，或设置 ca_file。"],
  [/^as root: (.+)$/, "请用 root 运行：{1}"],
  [/^make it, or drop it from (.+)$/, "请建立它，或从 {1} 中删除。"],
];

// Return the name of a check.
export function checkName(check) {
  return inChinese(CHECKS, check, (part) => PLACES[part] ?? part) ?? check;
}

// Return what was found, as far as it is known.
export function findingText(text) {
  if (!isChinese()) {
    return text;
  }
  for (const [pattern, word] of [[STANDS_BY, "暂停"], [IS_POLLED, "定时扫描"]]) {
    const found = pattern.exec(text);
    if (found) {
      return `${found[1]} ${word}：${whyNotServed(found[2])}`;
    }
  }
  return inChinese(TEXTS, text) ?? whyNoCluster(text) ?? afterPlace(text) ?? text;
}

// Of a hook's place in the configuration, or a machine's address; null if it is none of these.
function afterPlace(text) {
  const [, place, rest] = /^(\S+): (.+)$/s.exec(text) ?? [];
  const found = place && (inChinese(TEXTS, rest) ?? inChinese(HOOK_FAULTS, rest) ?? difference(rest) ?? whyUnused(rest));
  return found && found !== rest ? `${place}：${found}` : null;
}

// Return what mends it: a command as it is, words in the language of the page.
export function mendText(mend) {
  return inChinese(MENDS, mend) ?? clusterMend(mend) ?? mend;
}
