"""A BVH file as other programs write it."""

# Several channel orders, tabs, an end site, degrees.
FILE = """HIERARCHY
ROOT Hips
{
\tOFFSET 0.00 0.00 0.00
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT Left Leg {
\t\tOFFSET 3.5 -1 0
\t\tCHANNELS 3 Yrotation Zrotation Xrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0 -18 1e0
\t\t}
\t}
\tJOINT Chest
\t{
\t\tOFFSET 0 5 0
\t\tCHANNELS 3 Zrotation Xrotation Yrotation
\t\tJOINT Head
\t\t{
\t\t\tOFFSET 0 4 0
\t\t\tCHANNELS 0
\t\t}
\t}
}
MOTION
Frames: 2
Frame Time: 0.0333333
8.0 35.0 -2.0 0 0 0 0 0 0 0 0 0
8.0 36.0 -2.0 90 0 0 0 90 0 0 0 30

"""
