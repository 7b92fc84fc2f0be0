// Words that several views share: grounds of a preview, and why a result is doubtful.

export const en = {
  "stage.ground": "Background of the preview",
  "stage.checker": "Checker",
  "stage.white": "White",
  "stage.black": "Black",
  "stage.original": "Original",
  "reasons.empty": "No subject was found: the result is empty.",
  "reasons.full": "No background was found: nothing was removed.",
  "reasons.uncertain": "Large regions are undecided ({share} of the subject).",
  "reasons.fragments": "The subject is in fragments ({share} of it in small pieces).",
  "reasons.small": "The subject is very small ({share} of the picture).",
  "reasons.large": "The subject is very large ({share} of the picture).",
  "reasons.border": "The subject covers {share} of the picture's border.",
  "reasons.altogether": "Several small doubts add up.",
};

export const zh = {
  "stage.ground": "预览背景",
  "stage.checker": "棋盘格",
  "stage.white": "白色",
  "stage.black": "黑色",
  "stage.original": "原图",
  "reasons.empty": "没有找到主体，结果是空的。",
  "reasons.full": "没有找到背景，什么也没去掉。",
  "reasons.uncertain": "有大片区域难以判断（占主体的 {share}）。",
  "reasons.fragments": "主体支离破碎（{share} 是零散的小块）。",
  "reasons.small": "主体很小（只占画面的 {share}）。",
  "reasons.large": "主体很大（占画面的 {share}）。",
  "reasons.border": "主体占了画面边缘的 {share}。",
  "reasons.altogether": "有几处小疑点，加起来分数偏低。",
};
