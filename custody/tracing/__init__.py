"""
Where goods were lost, between which two entries, and who held custody meanwhile.

Facts come from sealed entries, whose signatures are checked again for each trace; rows find them, and are told as rows.
The words are those of evidence: somebody *held custody during* a window, and every finding has a grade.
"""
