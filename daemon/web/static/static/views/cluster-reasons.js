// Why a cluster, a machine of it or a worker is not used, in the language of the page. A test takes
// each of these from the source, and looks whether it is understood.

import { inChinese, isChinese } from "./phrases.js";

const CLUSTER = [
  [/^the cluster is being joined$/, "正在加入集群。"],
  [/^the cluster has no node with a GPU or with the resource (.+)$/, "集群中没有带 GPU 或资源 {1} 的机器。"],
  [/^the cluster has no node with the resource (.+)$/, "集群中没有带资源 {1} 的机器。"],
  [/^the cluster has told no node for (\d+) s$/, "{1} 秒内，集群没有报告任何机器。"],
  [/^the head at (\S+) does not answer$/, "集群的主节点 {1} 没有响应。"],
  [/^no cluster answers at (\S+) \((.+)\): start Ray's head$/, "{1} 上没有集群响应（{2}）：请启动 Ray 主节点。"],
  [/^worker\.engine is ray, and ray is missing \((.+)\): install it: (.+)$/, "worker.engine 设为 ray，但没有安装 ray（{1}）：请运行 {2}。"],
  [/^no token for the cluster at (\S+): (.+)$/, "没有集群 {1} 的令牌：{2}"],
  [/^the cluster at (\S+) refuses our token \((.+)\): copy /, "集群 {1} 拒绝了我们的令牌（{2}）：请把主节点的令牌复制过来，或设置 worker.ray.token_file。"],
  [/^the cluster at (\S+) cannot be joined: (.+)$/, "无法加入集群 {1}：{2}"],
  [/^the cluster at (\S+) runs Ray (\S+) on Python (\S+), and this machine Ray (\S+) on Python (\S+): /, "集群 {1} 用的是 Ray {2}（Python {3}），本机是 Ray {4}（Python {5}）：请在所有机器上安装相同的版本。"],
  [/^the process that speaks to Ray cannot be started: (.+)$/, "无法启动与 Ray 通信的进程：{1}"],
  [/^the connection to the cluster at (\S+) has ended: /, "与集群 {1} 的连接已断开：主节点或本机的 Ray 节点已停止。"],
];

const WORKERS = [
  [/^no worker was started yet$/, "还没有启动工作进程。"],
  [/^it is being started$/, "正在启动。"],
  [/^its models are being loaded$/, "正在加载模型。"],
  [/^it was not warm after (\d+) s$/, "{1} 秒内没有准备就绪。"],
  [/^it has not answered for (\d+) s$/, "{1} 秒没有响应。"],
  [/^it makes no progress: (.+)$/, "没有进展：{1}"],
  [/^it says nonsense: (.+)$/, "无法理解它的回答：{1}"],
  [/^it has answered nonsense: (.+)$/, "无法理解它的回答：{1}"],
  [/^it was asked for (.+), and has answered for another picture$/, "交给它的是 {1}，它返回的却是另一张图片。"],
  [/^it says that it has written (.+), which is not here$/, "它说已写入 {1}，但这里没有这个文件。"],
  [/^it says of (.+?): (.+); here it can be read and written$/, "它报告 {1}：{2}；但在这里读写正常。"],
  [/^its process has ended$/, "进程已结束。"],
  [/^the worker was ended$/, "工作进程被结束。"],
  [/^its node has died, or is cut off$/, "所在机器已停止，或网络中断。"],
  [/^its node has left the cluster, or is cut off$/, "所在机器已离开集群，或网络中断。"],
  [/^its connection has broken off: /, "连接中断：进程或所在机器已停止，或网络中断。"],
  [/^Ray has ended it, because its machine has hardly any memory left, /, "所在机器的内存几乎用尽，Ray 结束了它：请关闭那台机器上的其他程序，或调低 worker.memory_mb。"],
  [/^it has no resource (.+): to use it, start it by (.+)$/, "它没有资源 {1}：要使用它，请这样启动：{2}"],
  [/^it has no GPU and no resource (.+): to use it, start it by (.+)$/, "它没有 GPU，也没有资源 {1}：要使用它，请这样启动：{2}"],
];

// What a machine sees otherwise than the daemon's does.
const DIFFERENCES = [
  [/^runs cvunetd (\S+), and the daemon (\S+)$/, "那台机器运行 cvunetd {1}，而服务的版本是 {2}。"],
  [/^cannot use (.+?): it cannot be written: (.+)$/, "无法写入 {1}：{2}"],
  [/^cannot use (.+?): (.+)$/, "无法使用 {1}：{2}"],
  [/^(.+) is another folder there than (.+) here$/, "那台机器上的 {1} 和这里的 {2} 不是同一个文件夹。"],
  [/^(.+) is not the same file there: (.+), and here (.+)$/, "两台机器上的 {1} 不是同一个文件：那边是 {2}，这边是 {3}。"],
  [/^Ray has a GPU for it, and torch or onnxruntime sees no CUDA device there$/, "Ray 给它分配了 GPU，但那台机器上的 torch 或 onnxruntime 找不到 CUDA 设备。"],
  [/^Ray has a GPU for it, and (.+)$/, "Ray 给它分配了 GPU，但是：{1}"],
  [/^its clock is at least (\S+) s behind$/, "它的时钟至少慢了 {1} 秒。"],
  [/^its clock is at least (\S+) s ahead$/, "它的时钟至少快了 {1} 秒。"],
];

const MENDS = [
  [/^there: (pip install \S+), then restart Ray's node$/, "请在那台机器上运行 {1}，再重启 Ray 节点。"],
  [/^there: (pip install \S+) of the daemon's version, restart Ray's node$/, "请在那台机器上运行 {1}（版本与服务相同），再重启 Ray 节点。"],
  [/^there: (timedatectl .+)$/, "请在那台机器上运行 {1}。"],
  [/^there: give Ray's user the right to write in (.+), as on the daemon's machine$/, "请在那台机器上，让运行 Ray 的用户可以写入 {1}，与服务所在的机器一样。"],
  [/^there: nvidia-smi must list the GPU; or start Ray's node with (.+) for a worker on its CPU; or set (.+), or (.+) instead of a device's number$/, "那台机器上的 nvidia-smi 必须能列出 GPU；或用 {1} 启动 Ray 节点，改用 CPU；或设置 {2}；如果写的是设备编号，也可以改为 {3}。"],
  [/^mount it there, or name its place: (.+)$/, "请在那台机器上挂载它，或写明它在那里的路径：{1}"],
  [/^copy (.+) to that node, to the same path$/, "请把 {1} 复制到那台机器的相同路径。"],
  [/^start Ray's head at (.+), or set (.+) in (.+)$/, "请在 {1} 启动 Ray 主节点，或在 {3} 中设置 {2}。"],
];

const SEAT = /^node (\S+) \((\S+)\)(?: worker (\d+))?: (.+)$/s;
const NEXT_SEAT = /; (?=node \S+ \(\S+\)(?: worker \d+)?: )/;
const DIFFERENCE = /^(.+) \(((?:there: |mount it there|copy ).+)\)$/s;

// Return why nothing can be cut out, or why folders stand by for it; null if it is not known.
export function whyNoCluster(text) {
  return inChinese(CLUSTER, text) ?? (isChinese() && SEAT.test(text) ? text.split(NEXT_SEAT).map(seat).join(" ") : null);
}

function seat(text) {
  const [, name, address, worker, why] = SEAT.exec(text) ?? [];
  if (name === undefined) {
    return text;
  }
  return `机器 ${name}（${address}）${worker ? `的工作进程 ${worker}` : ""}：${whyUnused(why)}`;
}

// Return why a machine or a worker is not used, as far as it is known.
export function whyUnused(why) {
  return inChinese(WORKERS, why) ?? (isChinese() && DIFFERENCE.test(why) ? differences(why) : why);
}

function differences(why) {
  return why.split(/(?<=\)); /).map((one) => {
    const [, text, mend] = DIFFERENCE.exec(one) ?? [];
    return text === undefined ? one : `${difference(text) ?? text}${clusterMend(mend) ?? mend}`;
  }).join(" ");
}

// Return what a machine sees otherwise; null if it is not known.
export function difference(text) {
  return inChinese(DIFFERENCES, text);
}

// Return what mends it; null if it is not known.
export function clusterMend(mend) {
  return inChinese(MENDS, mend) ?? inChinese(WORKERS, mend);
}
