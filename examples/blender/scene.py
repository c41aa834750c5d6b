"""The demo of the farm, for Blender 2.93 or newer: a cube of mosaic tiles that turns above a polished floor.

    blender --background --factory-startup --python scene.py -- --frame 7 --frames 24 --out frame_0007.png

Everything is made by this script: no file of a scene is needed. Cycles renders on the CPU.
"""

import argparse
import math
import random
import sys

import bpy

TILES = 7
JOINT = 0.10
GROUNDS = [
    (0.05, 0.20, 0.42),
    (0.52, 0.10, 0.08),
    (0.04, 0.33, 0.30),
    (0.30, 0.10, 0.34),
    (0.08, 0.34, 0.12),
    (0.55, 0.28, 0.05),
]
TURNS = [(0, 0, 0), (0, 0, 90), (0, 0, 180), (0, 0, 270), (90, 0, 0), (-90, 0, 0)]


def arguments():
    """Reads what stands behind the two dashes; Blender leaves that to the script."""
    own = sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else []
    parser = argparse.ArgumentParser(prog="scene.py")
    parser.add_argument("--frame", type=int, default=1)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--out", required=True)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--samples", type=int, default=24)
    return parser.parse_args(own)


def material(name, colour, metallic=0.0, roughness=0.35):
    """Makes a surface."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Roughness"].default_value = roughness
    return made


def add_box(name, size, surface, parent=None, location=(0, 0, 0), rotation=(0, 0, 0)):
    """Adds a box of a given size."""
    bpy.ops.mesh.primitive_cube_add(size=1, location=location, rotation=rotation)
    box = bpy.context.object
    box.name = name
    box.scale = size
    box.data.materials.append(surface)
    box.parent = parent
    return box


def add_face(cube, number):
    """Covers one face of the cube with tiles; the two diagonals are gold leaf."""
    chance = random.Random(number)
    gold = material(f"gold {number}", (0.92, 0.66, 0.20), metallic=1.0, roughness=0.25)
    bpy.ops.object.empty_add(rotation=[math.radians(turn) for turn in TURNS[number]])
    face = bpy.context.object
    face.parent = cube
    step = 2 / TILES
    for row in range(TILES):
        for column in range(TILES):
            if row == column or row + column == TILES - 1:
                surface = gold
            else:
                shade = 0.70 + 0.55 * chance.random()
                surface = material("smalto", [part * shade for part in GROUNDS[number]])
            add_box(
                "tile",
                (step * (1 - JOINT), 0.06, step * (1 - JOINT)),
                surface,
                parent=face,
                location=(-1 + step * (column + 0.5), -1, -1 + step * (row + 0.5)),
                rotation=((chance.random() - 0.5) * 0.14, 0, (chance.random() - 0.5) * 0.14),
            )


def build(turn):
    """Builds the scene at one moment of the animation."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.object.empty_add(location=(0, 0, 1.75))
    cube = bpy.context.object
    cube.rotation_mode = "ZXY"
    cube.rotation_euler = (math.radians(28), 0, turn)
    add_box("core", (1.98, 1.98, 1.98), material("joint", (0.06, 0.06, 0.06), roughness=0.9), parent=cube)
    for number in range(len(GROUNDS)):
        add_face(cube, number)
    bpy.ops.mesh.primitive_plane_add(size=60)
    bpy.context.object.data.materials.append(material("floor", (0.13, 0.14, 0.16), roughness=0.18))
    bpy.ops.object.light_add(type="AREA", location=(4.0, -4.0, 6.5), rotation=(math.radians(42), 0, math.radians(45)))
    bpy.context.object.data.energy = 900
    bpy.context.object.data.size = 2.5
    bpy.ops.object.camera_add(location=(0, -6.4, 2.9), rotation=(math.radians(75.5), 0, 0))
    bpy.context.scene.camera = bpy.context.object
    bpy.context.scene.camera.data.lens = 42
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.16, 0.20, 0.28, 1.0)
    bpy.context.scene.world = world


def render(wanted):
    """Renders one frame to a PNG file, with one thread: the farm runs as many frames at once as there are slots."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = wanted.samples
    # Builds without a denoiser (Debian's is one) refuse to render with it.
    scene.cycles.use_denoising = False
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 1
    scene.render.resolution_x = wanted.width
    scene.render.resolution_y = wanted.height
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = wanted.out
    bpy.ops.render.render(write_still=True)


def main():
    """Builds the scene for the wanted frame and renders it."""
    wanted = arguments()
    build(2 * math.pi * (wanted.frame - 1) / max(wanted.frames, 1))
    render(wanted)


try:
    main()
except Exception as error:  # Blender itself would go on and end with 0.
    print(f"scene.py: {error!r}", file=sys.stderr)
    sys.exit(1)
