#version 3.7;
#include "colors.inc"
// #include "old.inc"
/* image_map { png "old.png" }
*/ sphere { 0, 1 texture { pigment { image_map { png "tex\wood.png" } } } }
#fopen IN "points.txt" read
