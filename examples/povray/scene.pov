// The demo of the farm, for POV-Ray 3.7: a cube of mosaic tiles that turns above a polished floor.
//
//   povray +Iscene.pov +Oframe_0007.png +W320 +H240 +A0.3 -D Declare=Frame=7 Declare=Frames=24
//
// Frame counts from 1 to Frames; after the last the first comes again without a jump.
#version 3.7;

#ifndef (Frame)  #declare Frame = 1; #end
#ifndef (Frames) #declare Frames = 24; #end

#declare Turn = 360 * (Frame - 1) / Frames;
#declare Tiles = 7;
#declare Joint = 0.10;

global_settings { assumed_gamma 1.0 max_trace_level 6 }

camera {
  location <0, 2.55, -5.6>
  look_at <0, 1.28, 0>
  angle 58
  right x * image_width / image_height
}

light_source { <6, 10, -5> rgb <1.25, 1.15, 1.0> area_light x * 1.5, z * 1.5, 3, 3 adaptive 1 jitter }
light_source { <-7, 4, -4> rgb <0.20, 0.26, 0.36> shadowless }

sky_sphere {
  pigment {
    gradient y
    color_map {
      [0.0 rgb <0.50, 0.47, 0.46>]
      [0.6 rgb <0.07, 0.12, 0.24>]
    }
  }
}

plane {
  y, 0
  pigment { checker rgb <0.12, 0.13, 0.15>, rgb <0.21, 0.22, 0.25> scale 1.1 }
  finish { ambient 0.05 diffuse 0.7 reflection { 0.06, 0.35 } specular 0.3 }
}

#declare Gold = texture {
  pigment { rgb <0.92, 0.66, 0.20> }
  finish { ambient 0.08 diffuse 0.55 specular 0.8 roughness 0.02 reflection { 0.15, 0.35 } metallic }
}

// One tile of a face; the ones on the two diagonals are gold leaf.
#macro Tile (Row, Column, Ground, Seed)
  #local Shade = 0.70 + 0.55 * rand(Seed);
  #local Size = 2 / Tiles;
  #local Middle = <-1 + Size * (Column + 0.5), -1 + Size * (Row + 0.5), -1>;
  #local Half = Size * (1 - Joint) / 2;
  box {
    <-Half, -Half, -0.03>, <Half, Half, 0.03>
    rotate <(rand(Seed) - 0.5) * 8, (rand(Seed) - 0.5) * 8, 0>
    translate Middle
    #if (Row = Column | Row + Column = Tiles - 1)
      texture { Gold }
    #else
      pigment { rgb Ground * Shade }
      finish { ambient 0.08 diffuse 0.75 specular 0.5 roughness 0.02 reflection { 0.03, 0.15 } }
    #end
  }
#end

#macro Face (Ground, Start)
  #local Seed = seed(Start);
  union {
    #for (Row, 0, Tiles - 1)
      #for (Column, 0, Tiles - 1)
        Tile(Row, Column, Ground, Seed)
      #end
    #end
  }
#end

union {
  box { <-0.99, -0.99, -0.99>, <0.99, 0.99, 0.99> pigment { rgb 0.06 } finish { ambient 0.02 diffuse 0.6 } }
  object { Face(<0.05, 0.20, 0.42>, 1) }
  object { Face(<0.52, 0.10, 0.08>, 2) rotate y * 90 }
  object { Face(<0.04, 0.33, 0.30>, 3) rotate y * 180 }
  object { Face(<0.30, 0.10, 0.34>, 4) rotate y * 270 }
  object { Face(<0.08, 0.34, 0.12>, 5) rotate x * 90 }
  object { Face(<0.55, 0.28, 0.05>, 6) rotate x * -90 }
  rotate y * Turn
  rotate x * -28
  translate y * 1.75
}
