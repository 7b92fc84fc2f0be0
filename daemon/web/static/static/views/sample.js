// A picture to try when there is none at hand: a plant in a pot, drawn here.

// Return it as a file.
export async function samplePicture() {
  const canvas = new OffscreenCanvas(960, 720);
  const context = canvas.getContext("2d");
  drawRoom(context);
  drawPlant(context);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  return new File([blob], "plant.jpg", { type: "image/jpeg" });
}

function drawRoom(context) {
  const wall = context.createLinearGradient(0, 0, 960, 500);
  wall.addColorStop(0, "#cfd8e6");
  wall.addColorStop(1, "#a7b6cc");
  context.fillStyle = wall;
  context.fillRect(0, 0, 960, 720);
  const table = context.createLinearGradient(0, 540, 0, 720);
  table.addColorStop(0, "#b98e5f");
  table.addColorStop(1, "#8d6640");
  context.fillStyle = table;
  context.fillRect(0, 545, 960, 175);
  context.fillStyle = "rgb(60 40 20 / 35%)";
  context.filter = "blur(14px)";
  context.beginPath();
  context.ellipse(500, 642, 190, 26, 0, 0, 7);
  context.fill();
  context.filter = "none";
}

function leaf(context, angle, length, hue) {
  context.save();
  context.translate(480, 430);
  context.rotate(angle);
  const green = context.createLinearGradient(0, 0, 0, -length);
  green.addColorStop(0, `hsl(${hue} 45% 22%)`);
  green.addColorStop(0.6, `hsl(${hue} 50% 38%)`);
  green.addColorStop(1, `hsl(${hue + 10} 55% 52%)`);
  context.fillStyle = green;
  context.beginPath();
  context.moveTo(0, 0);
  context.bezierCurveTo(-70, -length * 0.35, -50, -length * 0.8, 0, -length);
  context.bezierCurveTo(50, -length * 0.8, 70, -length * 0.35, 0, 0);
  context.fill();
  context.strokeStyle = `hsl(${hue} 40% 60% / 70%)`;
  context.lineWidth = 3;
  context.beginPath();
  context.moveTo(0, -10);
  context.lineTo(0, -length * 0.92);
  context.stroke();
  context.restore();
}

function drawPlant(context) {
  [[-1.15, 250, 130], [1.1, 260, 118], [-0.72, 330, 122], [0.7, 320, 134], [-0.32, 370, 116], [0.33, 360, 126], [0, 330, 110]]
    .forEach(([angle, length, hue]) => leaf(context, angle, length, hue));
  const clay = context.createLinearGradient(370, 0, 600, 0);
  clay.addColorStop(0, "#d9774f");
  clay.addColorStop(0.35, "#e99369");
  clay.addColorStop(1, "#8d4027");
  context.fillStyle = clay;
  context.beginPath();
  context.moveTo(372, 440);
  context.lineTo(590, 440);
  context.lineTo(560, 640);
  context.quadraticCurveTo(480, 660, 402, 640);
  context.fill();
  context.beginPath();
  context.roundRect(352, 408, 258, 56, 10);
  context.fill();
  context.fillStyle = "rgb(60 20 10 / 28%)";
  context.fillRect(370, 464, 222, 8);
}
